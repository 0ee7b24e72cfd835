"""``python -m persyn_kedro``: the packaged project's ``kedro run``, and its other commands.

The packaged project has no directory of its own: it reads and writes ``data`` in the working
directory, and reads ``conf`` there too unless ``--conf-source`` names another.
"""

import os
import sys
from pathlib import Path
from typing import Any


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project, or the command named by the first argument: ``trace``, ``prune``, …"""
    package = Path(__file__).parent
    if not Path("conf/logging.yml").is_file():  # Kedro's default would read [/INST] as a style tag
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(package / "logging.yml"))
    from kedro.framework.project import configure_project  # reads the variable on import

    configure_project(package.name)
    from persyn_kedro.cli import cli, run

    words = args[0] if args else sys.argv[1:]
    command = cli if words and words[0] in cli.commands else run
    return command(*args, **{"standalone_mode": not hasattr(sys, "ps1"), **kwargs})


if __name__ == "__main__":
    main()
