"""The project's commands, where Kedro looks for them."""

from persyn_kedro.cli import (  # they add theirs to the group
    doctor as doctor,
    looking as looking,
    new as new,
    upkeep as upkeep,
)
from persyn_kedro.cli.group import cli
from persyn_kedro.cli.run import run

__all__ = ["cli", "run"]
