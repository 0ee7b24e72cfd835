"""The build: the wheel also holds files of conf/ and notebooks/ that every project needs.

Everything else is in pyproject.toml.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = ("conf/base/catalog.yml", "conf/logging.yml", "notebooks/tour.ipynb")
PLACE = "persyn_kedro/shared"  # runs/shared.py looks there


class BuildWithShared(build_py):
    """Copies them into the package; an editable install reads them where they are."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name, target in self._shared().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(name, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        shared = [] if self.editable_mode else [*self._shared().values()]
        return [*super().get_outputs(include_bytecode), *shared]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *SHARED]

    def _shared(self) -> dict[str, str]:
        return {name: str(Path(self.build_lib, PLACE, name)) for name in SHARED}


setup(cmdclass={"build_py": BuildWithShared})
