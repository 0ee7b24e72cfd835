"""``kedro run``, with one-sentence errors."""

from copy import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.group import Command, cli
from persyn_kedro.cli.params import PARAMS
from persyn_kedro.cli.run_options import CONFIG, REFUSED, RUNNER, check_options
from persyn_kedro.cli.termination import ended_by_sigterm


def _run(redo: bool, **kwargs: Any) -> Any:
    with one_sentence(), ended_by_sigterm():
        check_options(kwargs)
        kwargs["runner"] = kwargs["runner"] or RUNNER
        kwargs["runner_params"] = {**kwargs["runner_params"], "redo": redo}
        callback = kedro_run.callback
        assert callback is not None  # noqa: S101 - click sets it for every decorated command
        return callback(**kwargs)


_REDO = click.Option(["--redo"], is_flag=True, help="Re-run every step, even if up to date.")
_OURS = {"params": PARAMS, "config": CONFIG}


def _option(param: click.Parameter) -> click.Parameter:
    """Return our version of one of Kedro's options; what is refused is not in the help."""
    ours = copy(_OURS.get(str(param.name), param))
    if ours.name in REFUSED:
        ours.hidden = True  # type: ignore[attr-defined]
    return ours


run = Command(  # this name is what `python -m persyn_kedro` looks for
    "run",
    callback=_run,
    params=[*map(_option, kedro_run.params), _REDO],
    help="Run the pipeline; steps that are up to date are skipped.",
)
cli.add_command(run)
