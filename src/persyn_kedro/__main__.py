"""``python -m persyn_kedro``: the packaged project's ``kedro run``, and its other commands.

The packaged project has no directory of its own: it reads and writes ``data`` in the working
directory, and reads ``conf`` there too unless ``--conf-source`` names another.
"""

import os
import sys
from pathlib import Path
from typing import Any

from persyn_kedro.runs.shared import shared_file


def main(*args: Any, **kwargs: Any) -> Any:
    """Run the project, or the command named by the first argument: ``trace``, ``prune``, …"""
    _log_in_our_way()
    from kedro.framework.project import configure_project

    configure_project("persyn_kedro")
    from persyn_kedro.cli import cli, run

    words = args[0] if args else sys.argv[1:]
    command = cli if words and words[0] in cli.commands else run
    return command(*args, **{"standalone_mode": not hasattr(sys, "ps1"), **kwargs})


def persyn() -> None:
    """Run ``persyn``: in a project what ``kedro`` does there, elsewhere ``new`` and ``doctor``."""
    _log_in_our_way()
    from kedro.framework.cli.cli import KedroCLI
    from kedro.framework.project import configure_project
    from kedro.utils import find_kedro_project

    project = find_kedro_project(Path.cwd())
    if project is None or sys.argv[1:2] == ["new"]:  # Kedro's own makes projects of another kind
        configure_project("persyn_kedro")
        from persyn_kedro.cli import cli

        cli(prog_name="persyn")
    else:
        KedroCLI(project_path=project)(prog_name="persyn")


def _log_in_our_way() -> None:
    """Let Kedro log as conf/logging.yml says; its default would read [/INST] as a style tag.

    Kedro reads the variable when it is imported.
    """
    if not Path("conf/logging.yml").is_file():
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(shared_file("conf/logging.yml")))


if __name__ == "__main__":
    main()
