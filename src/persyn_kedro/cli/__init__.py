"""The project's commands, as Kedro looks for them."""

from persyn_kedro.cli.commands import cli, run

__all__ = ["cli", "run"]
