"""The group of the project's commands, and what they share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.project import CONF_SOURCE_HELP
from kedro.framework.cli.utils import KedroCliError, validate_conf_source
from kedro.framework.session import KedroSession

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings import Settings

ENV = click.option("--env", "-e", default=None)
ROUND = click.option(
    "--round", "number", default=1, type=click.IntRange(1), help="Round of training."
)


class Command(click.Command):
    """Prints Kedro's own errors as one sentence; Kedro itself would print "NoneType: None"."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _kedro_sentence():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _kedro_sentence():
            return super().invoke(ctx)


@contextmanager
def _kedro_sentence() -> Iterator[None]:
    try:
        yield
    except KedroCliError as error:
        raise click.ClickException(error.message) from error


class _Commands(click.Group):
    """Gives each command the ``--conf-source`` option of ``run``, which ``open_project`` reads."""

    command_class = Command

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        if "conf_source" not in {param.name for param in cmd.params}:
            cmd.params.append(_CONF_SOURCE)
        super().add_command(cmd, name)


def _remember(context: click.Context, param: click.Parameter, value: str) -> None:
    context.meta["conf_source"] = validate_conf_source(context, param, value)


_CONF_SOURCE = click.Option(
    ["--conf-source"], expose_value=False, callback=_remember, help=CONF_SOURCE_HELP
)


@click.group(name="persyn_kedro", cls=_Commands)
def cli() -> None:
    """Student-aware synthetic data."""


def open_project(env: str | None) -> tuple["Settings", Any]:
    """Return the settings and the catalog of an environment."""
    from persyn_kedro.foundations.settings import read_settings

    conf_source = click.get_current_context().meta.get("conf_source")
    with KedroSession.create(env=env, conf_source=conf_source) as session:
        context = cast(KedroSession, session).load_context()
        return read_settings(context.config_loader["parameters"]), context.catalog
