"""Write what a release stores, for later ones to read: ``python -m tests.releases.make 0.1.0``.

Run once, when a version is released. The archive has the stores and tables of a smoke run.
"""

import sys
import tarfile
import tempfile
from pathlib import Path

from tests.conftest import make_project

KEPT = (
    "stores",
    "02_intermediate",
    "03_primary",
    "04_feature",
    "05_model_input",
    "07_model_output",
)


def main(release: str) -> None:
    """Run the smoke environment in a project of its own, and pack what it stored."""
    with tempfile.TemporaryDirectory() as place:
        make_project(Path(place), shared=False)("run", "--env=smoke")
        target = Path(__file__).parent / f"{release}.tar.gz"
        with tarfile.open(target, "w:gz") as archive:
            for name in KEPT:
                archive.add(Path(place, "data", "smoke", name), f"data/smoke/{name}")
    print(target)


if __name__ == "__main__":
    main(sys.argv[1])
