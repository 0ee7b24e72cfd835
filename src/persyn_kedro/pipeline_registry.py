"""The project's pipelines, in the order in which data flows."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.lazy import LazyPipeline


def _step(name: str) -> Callable[[], Pipeline]:
    """Return a function that builds a folder's pipeline and imports its nodes only then."""

    @cache
    def create() -> Pipeline:
        return import_module(f"persyn_kedro.pipelines.{name}").create_pipeline()

    return create


_rounds = 2


def use_rounds(count: int) -> None:
    """Have ``next_round`` consist of the rounds up to number ``count``, as the settings say."""
    global _rounds
    if max(2, count) != _rounds:
        _rounds = max(2, count)
        pipelines.configure(__name__)  # Kedro may have built it for another count


@cache
def _later_rounds(count: int) -> Pipeline:
    return import_module("persyn_kedro.pipelines.next_round").create_pipeline(count)


STEPS: dict[str, Callable[[], Pipeline]] = {
    name: _step(name)
    for name in ("prepare", "label", "train_router", "route", "generate", "sft", "evaluate")
}


# Steps that only measure, other trainings than sft, and exports: they run only when named.
EVIDENCE: dict[str, Callable[[], Pipeline]] = {
    "compare_routers": _step("compare_routers"),
    "compare": lambda: EVIDENCE["compare_routers"]() + MAKERS["compare"](),
    "fit_signal": _step("fit_signal"),
    "compare_signals": _step("compare_signals"),
    "compare_quality": _step("compare_quality"),
    "frontier": _step("frontier"),
    "next_round": lambda: _later_rounds(_rounds),
    "benchmark": _step("benchmark"),
    "plan": lambda: STEPS["prepare"]() + MAKERS["plan"](),
    "train_reward_model": _step("train_reward_model"),
    "preferences": _step("preferences"),
    "dpo": lambda: EVIDENCE["preferences"]() + MAKERS["dpo"](),
    "export": lambda: EVIDENCE["preferences"]() + MAKERS["export"](),
}


# What each step makes, in the order in which data flows: used to explain a missing input.
MAKERS: dict[str, Callable[[], Pipeline]] = {
    **STEPS,
    **EVIDENCE,
    "compare": _step("compare"),
    "plan": _step("plan"),
    "dpo": _step("dpo"),
    "export": _step("export"),
}


def register_pipelines() -> dict[str, Pipeline]:
    """Return each step by its folder's name, and ``__default__``: the steps run by default."""
    steps: dict[str, Pipeline] = {
        name: LazyPipeline(create) for name, create in {**STEPS, **EVIDENCE}.items()
    }
    whole = LazyPipeline(lambda: sum((create() for create in STEPS.values()), Pipeline([])))
    return {**steps, "__default__": whole}
