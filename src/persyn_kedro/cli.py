"""The project's commands: ``run`` with one-sentence errors, ``fetch-models``, ``show-mask``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.validation.exceptions import ParameterValidationError

from persyn_kedro.foundations.errors import PersynError


@click.group(name="persyn_kedro")
def cli() -> None:
    """Student-aware synthetic data."""


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Show a PersynError or a settings error as ``Error: …`` and exit with 1."""
    try:
        yield
    except (PersynError, ParameterValidationError) as error:
        raise click.ClickException(str(error)) from error


def _run(**kwargs: Any) -> Any:
    with _one_sentence():
        callback = kedro_run.callback
        assert callback is not None  # noqa: S101 - click sets it for every decorated command
        return callback(**kwargs)


cli.add_command(
    click.Command("run", callback=_run, params=kedro_run.params, help="Run the pipeline.")
)


def _parameters(env: str | None) -> dict[str, Any]:
    from pathlib import Path

    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env) as session:
        return cast(KedroSession, session).load_context().params


@cli.command("fetch-models")
@click.option("--env", "-e", default=None, help="Kedro environment whose models are fetched.")
def fetch_models(env: str | None) -> None:
    """Fetch and convert every model that the settings' pool, student and router use."""
    from persyn_kedro.foundations.parameters import (
        Models,
        StudentSettings,
        Teachers,
        TrainRouterSettings,
    )
    from persyn_kedro.foundations.weights import resolve_models

    with _one_sentence():
        settings = _parameters(env)
        models = Models.model_validate(settings["models"])
        names = [t.model for t in Teachers.model_validate(settings["teachers"]).root.values()]
        names.append(StudentSettings.model_validate(settings["student"]).model)
        names.append(TrainRouterSettings.model_validate(settings["train_router"]).backbone)
        for model in resolve_models(models, dict.fromkeys(names)).values():
            click.echo(f"{model.name}: {model.weights_id}")


@cli.command("show-mask")
@click.option("--env", "-e", default=None)
@click.option("--prompt", required=True)
@click.option("--response", required=True)
def show_mask(env: str | None, prompt: str, response: str) -> None:
    """Show in colour which tokens of a pair the student is trained on."""
    from persyn_kedro.foundations import rendering
    from persyn_kedro.foundations.loading import load_tokenizer
    from persyn_kedro.foundations.parameters import Models, StudentSettings
    from persyn_kedro.foundations.weights import resolve_models

    with _one_sentence():
        settings = _parameters(env)
        student = StudentSettings.model_validate(settings["student"])
        models = Models.model_validate(settings["models"])
        model = resolve_models(models, [student.model])[student.model]
        tokenizer = load_tokenizer(model)
        rendered = rendering.render(tokenizer, student.system, prompt, response)
        click.echo(rendering.show_mask(tokenizer, rendered))
