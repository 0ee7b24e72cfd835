"""Do TRL, PEFT and vLLM know what the settings hand on to them? Checked before the first step.

Each is asked in a child process, and only where the settings name something of theirs: importing
them takes seconds, and the processes that do the work are forked from the same imports.
"""

from collections.abc import Collection, Iterable
from typing import Any

from kedro.pipeline.node import Node

from persyn_kedro.domain.engines import VllmEngine, check_arguments_job
from persyn_kedro.domain.student import Training, asks_libraries, check_libraries_job
from persyn_kedro.foundations.processes import run_in_child
from persyn_kedro.foundations.settings import Needs, Settings
from persyn_kedro.runs.records import groups_of, needs_of

_TRAINED = {"sft": "sft", "fit_signal": "sft", "dpo": "dpo"}  # by the group with the adapter
_NOT = object()  # no value at all


def names_libraries(settings: Settings) -> bool:
    """Return whether these settings name something that only a library knows."""
    trainings = _trainings(settings, _TRAINED).values()
    named = any(model.vllm for model in settings.models.root.values())
    return any(map(asks_libraries, trainings)) or named


def check_libraries(nodes: Iterable[Node], answering: Collection[str], settings: Settings) -> None:
    """Refuse what a library does not know.

    Args:
        nodes: those that will run.
        answering: the models that the engine will run.

    Raises:
        PersynError: names the setting.
    """
    trained = [node for node in nodes if Needs.TRAINER in needs_of([node], settings)]
    _check_training(groups_of(trained), settings)
    if given := _vllm(settings, answering):
        environment = VllmEngine.environment(settings.engine)
        label = "checking vLLM's settings"
        list(run_in_child(check_arguments_job, given, label=label, env=environment))


def _check_training(groups: Collection[str], settings: Settings) -> None:
    trainings = _trainings(settings, groups)
    if any(map(asks_libraries, trainings.values())):
        dtype = settings.models.root[settings.student.model].dtype
        work = (check_libraries_job, trainings, dtype)
        list(run_in_child(*work, label="checking the training's settings"))


def _trainings(settings: Settings, groups: Collection[str]) -> dict[str, Training]:
    """Return the trainings that these groups of settings are about, each with its own adapter."""
    return {
        group: getattr(settings, of).model_copy(update={"lora": getattr(settings, group).lora})
        for group, of in _TRAINED.items()
        if group in groups and of in groups
    }


def _vllm(settings: Settings, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return what these models hand on to vLLM, by the key where it is set.

    Under another engine no model has anything to hand on.
    """
    common = settings.engine.vllm  # every local model has it too
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(names):
        given = settings.models.root[name].vllm
        own = {key: value for key, value in given.items() if common.get(key, _NOT) != value}
        found |= {"engine.vllm": common} if given else {}
        found[f"models.{name}.vllm"] = own
    return {place: keys for place, keys in found.items() if keys}
