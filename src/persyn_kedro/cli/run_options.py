"""Which of Kedro's options ``run`` accepts, and a one-sentence error for each other."""

from typing import Any

import click
from kedro.framework.cli.project import CONFIG_FILE_HELP
from kedro.framework.cli.utils import _config_file_callback
from kedro.utils import load_obj
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from persyn_kedro.foundations.errors import PersynError

RUNNER = "persyn_kedro.runs.runner.ResumingRunner"
REFUSED = ("runner", "runner_params", "is_async", "only_missing_outputs")
# Kedro's filters of nodes, by their names in `run` and in `Pipeline.filter`.
_FILTERS = {
    "tags": "tags",
    "node_names": "node_names",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
    "namespaces": "node_namespaces",
}


def _read_config(context: click.Context, param: click.Parameter, value: Any) -> Any:
    """Let Kedro read the file of ``--config``, and report what is wrong with it in one sentence."""
    try:
        return _config_file_callback(context, param, value)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        told = getattr(error, "problem", None) or " ".join(str(error).split())
        raise click.ClickException(f"--config: {value} is not valid YAML ({told}).") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise click.ClickException(
            f"--config: {value} needs a key `{context.info_name}:` with the options below it."
        ) from error


CONFIG = click.Option(
    ["--config", "-c"],
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help=CONFIG_FILE_HELP,
    callback=_read_config,
)


def check_options(options: dict[str, Any]) -> None:
    """Refuse options that this project cannot honour, before the settings are read.

    Raises:
        PersynError: names the option and what to do instead.
    """
    if options["is_async"]:
        raise PersynError(
            "--async is not supported: steps read and write their tables piece by piece as they "
            "run, so threads would have nothing to load or save in the meantime. Leave it out."
        )
    if options["only_missing_outputs"]:
        raise PersynError(
            "--only-missing-outputs is not supported: it checks whether a result exists, not what "
            "made it. Leave it out: a step whose result was made from the same settings and "
            "inputs is skipped anyway."
        )
    own_runner = options["runner"] not in (None, RUNNER)
    if own_runner:
        _check_runner(options["runner"])
    elif options["runner_params"]:
        raise PersynError(
            "--runner-params is not supported: the project's runner takes none. To re-run every "
            "step, use --redo."
        )
    _check_nodes(options)


def _check_runner(name: str) -> None:
    from persyn_kedro.runs.runner import ResumingRunner

    try:
        kind = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise PersynError(f"--runner: unknown runner {name!r}; leave the option out.") from error
    if not (isinstance(kind, type) and issubclass(kind, ResumingRunner)):
        raise PersynError(
            f"--runner={name} is not supported: this project has its own runner, which skips steps "
            "that are up to date, records what made each result, and holds one model in memory at "
            "a time. Leave --runner out. (Prompts are answered in parallel anyway: in batches, by "
            "all endpoints at once, and on the nodes of a cluster if cluster.address names one.)"
        )


def _check_nodes(options: dict[str, Any]) -> None:
    """Refuse unknown pipelines, nodes, datasets and tags."""
    from kedro.pipeline import Pipeline

    from persyn_kedro.pipeline_registry import register_pipelines

    known = register_pipelines()
    asked = [n for n in (options.get("pipeline"), *(options.get("pipelines") or ())) if n]
    for name in asked:
        if name not in known:
            raise PersynError(f"Unknown pipeline {name!r}; available: {', '.join(known)}.")
    filters = {kedro: options[name] for name, kedro in _FILTERS.items() if options.get(name)}
    if not filters:
        return  # without importing the nodes
    whole = sum((known[name] for name in asked or ["__default__"]), Pipeline([]))
    try:
        whole.filter(**filters)
    except ValueError as error:
        told = " ".join(str(error).split()).rstrip(".")
        raise PersynError(f"{told}. `kedro registry describe` lists a pipeline's nodes.") from error
