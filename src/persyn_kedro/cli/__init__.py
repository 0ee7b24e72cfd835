"""The project's commands, where Kedro looks for them."""

from persyn_kedro.cli.commands import cli, run

__all__ = ["cli", "run"]
