"""The project's commands: ``run`` with one-sentence errors, ``fetch-models``, ``show-mask``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError

from persyn_kedro.foundations.errors import PersynError


@click.group(name="persyn_kedro")
def cli() -> None:
    """Student-aware synthetic data."""


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Show an error of the user's making as ``Error: …``, one sentence, and exit with 1."""
    try:
        yield
    except (PersynError, ParameterValidationError) as error:
        raise click.ClickException(str(error)) from error
    except DatasetError as error:  # Kedro wraps what a streamed table raises while it is saved
        if not isinstance(error.__cause__, PersynError):
            raise
        raise click.ClickException(str(error.__cause__)) from error


def _run(**kwargs: Any) -> Any:
    with _one_sentence():
        _check_names(kwargs)
        callback = kedro_run.callback
        assert callback is not None  # noqa: S101 - click sets it for every decorated command
        return callback(**kwargs)


def _check_names(options: dict[str, Any]) -> None:
    """Refuse a pipeline that is not registered, before the settings are read."""
    from persyn_kedro.pipeline_registry import register_pipelines

    asked = [options.get("pipeline"), *(options.get("pipelines") or ())]
    known = register_pipelines()
    for name in filter(None, asked):
        if name not in known:
            raise PersynError(f"There is no pipeline {name!r}; there are {', '.join(known)}.")


cli.add_command(
    click.Command("run", callback=_run, params=kedro_run.params, help="Run the pipeline.")
)


def _settings(env: str | None) -> dict[str, Any]:
    from pathlib import Path

    from persyn_kedro.foundations.parameters import read_settings

    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env) as session:
        loader = cast(KedroSession, session).load_context().config_loader
        return read_settings(loader["parameters"])


@cli.command("fetch-models")
@click.option("--env", "-e", default=None, help="Kedro environment whose models are fetched.")
def fetch_models(env: str | None) -> None:
    """Fetch and convert every model that the settings' pool, student and router use."""
    from persyn_kedro.foundations.weights import resolve_models

    with _one_sentence():
        settings = _settings(env)
        models = settings["models"]
        names = [t.model for t in settings["teachers"].root.values()]
        names.append(settings["student"].model)
        names.append(settings["train_router"].backbone)
        names += filter(None, [settings["label"].quality.model])
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
    from persyn_kedro.foundations.weights import resolve_models

    with _one_sentence():
        settings = _settings(env)
        student = settings["student"]
        model = resolve_models(settings["models"], [student.model])[student.model]
        tokenizer = load_tokenizer(model)
        rendered = rendering.render(tokenizer, student.system, prompt, response)
        click.echo(rendering.show_mask(tokenizer, rendered), color=True)  # piped, too
