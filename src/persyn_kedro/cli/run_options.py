"""Which of Kedro's options ``run`` takes, and why not the others: one sentence each."""

from typing import Any

import click
from kedro.framework.cli.project import CONFIG_FILE_HELP
from kedro.framework.cli.utils import _config_file_callback
from kedro.utils import load_obj
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from persyn_kedro.foundations.errors import PersynError

RUNNER = "persyn_kedro.runs.runner.ResumingRunner"
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
    """Have Kedro read the file of ``--config``; what is wrong with it is one sentence."""
    try:
        return _config_file_callback(context, param, value)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        told = getattr(error, "problem", None) or " ".join(str(error).split())
        raise click.ClickException(f"--config: {value} is no YAML ({told}).") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise click.ClickException(
            f"--config: {value} must have `{context.info_name}:` with options of it below."
        ) from error


CONFIG = click.Option(
    ["--config", "-c"],
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help=CONFIG_FILE_HELP,
    callback=_read_config,
)


def check_options(options: dict[str, Any]) -> None:
    """Refuse what cannot be run as it is asked for, before the settings are read.

    Raises:
        PersynError: names the option, and what to do in its place.
    """
    if options["is_async"]:
        raise PersynError(
            "--async is not for this project: its tables are read and written piece by piece as a "
            "step goes on, so there is no loading or saving that threads could do meanwhile."
        )
    if options["only_missing_outputs"]:
        raise PersynError(
            "--only-missing-outputs is not for this project, as it looks at whether a result is "
            "there and not at what made it; leave it out: a step whose result is there, made from "
            "the same settings and inputs, is skipped anyway."
        )
    own_runner = options["runner"] not in (None, RUNNER)
    if own_runner:
        _check_runner(options["runner"])
    elif options["runner_params"]:
        raise PersynError(
            "--runner-params: the project's own runner has none; to skip no step, use --redo."
        )
    _check_nodes(options)


def _check_runner(name: str) -> None:
    from persyn_kedro.runs.runner import ResumingRunner

    try:
        kind = load_obj(name, "kedro.runner")
    except (ImportError, AttributeError, ValueError) as error:
        raise PersynError(f"--runner: there is no {name!r}; leave it out.") from error
    if not (isinstance(kind, type) and issubclass(kind, ResumingRunner)):
        raise PersynError(
            f"--runner={name} cannot be used: this project has a runner of its own, which skips "
            "the steps whose result is there, writes down what made each, and has one model in "
            "memory at a time; leave --runner out (prompts are answered at the same time all the "
            "same, in batches, by all endpoints at once, and on the machines of a cluster if "
            "cluster.address names one)."
        )


def _check_nodes(options: dict[str, Any]) -> None:
    """Refuse pipelines, nodes, data sets and tags that are not there."""
    from kedro.pipeline import Pipeline

    from persyn_kedro.pipeline_registry import register_pipelines

    known = register_pipelines()
    asked = [n for n in (options.get("pipeline"), *(options.get("pipelines") or ())) if n]
    for name in asked:
        if name not in known:
            raise PersynError(f"There is no pipeline {name!r}; there are {', '.join(known)}.")
    filters = {kedro: options[name] for name, kedro in _FILTERS.items() if options.get(name)}
    if not filters:
        return  # without importing the nodes
    whole = sum((known[name] for name in asked or ["__default__"]), Pipeline([]))
    try:
        whole.filter(**filters)
    except ValueError as error:
        told = " ".join(str(error).split()).rstrip(".")
        raise PersynError(
            f"{told}; `kedro registry describe` lists the nodes of a pipeline."
        ) from error
