"""The project's pipelines, in the order in which data flows."""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.lazy import LazyPipeline


def _step(name: str) -> Callable[[], Pipeline]:
    """Return a function that builds a folder's pipeline and imports its nodes only then."""

    @cache
    def create() -> Pipeline:
        return import_module(f"persyn_kedro.pipelines.{name}").create_pipeline()

    return create


STEPS: dict[str, Callable[[], Pipeline]] = {
    name: _step(name)
    for name in ("prepare", "label", "train_router", "route", "generate", "sft", "evaluate")
}


# Steps that only measure, the reward model's training, and exports: they run only when named.
EVIDENCE: dict[str, Callable[[], Pipeline]] = {
    "compare_routers": _step("compare_routers"),
    "compare": lambda: EVIDENCE["compare_routers"]() + MAKERS["compare"](),
    "fit_signal": _step("fit_signal"),
    "compare_signals": _step("compare_signals"),
    "frontier": _step("frontier"),
    "benchmark": _step("benchmark"),
    "plan": lambda: STEPS["prepare"]() + MAKERS["plan"](),
    "train_reward_model": _step("train_reward_model"),
    "export": _step("export"),
}


# What each step makes, in the order in which data flows: used to explain a missing input.
MAKERS: dict[str, Callable[[], Pipeline]] = {
    **STEPS,
    **EVIDENCE,
    "compare": _step("compare"),
    "plan": _step("plan"),
}


def register_pipelines() -> dict[str, Pipeline]:
    """Return each step by its folder's name, and ``__default__``: the steps run by default."""
    pipelines: dict[str, Pipeline] = {
        name: LazyPipeline(create) for name, create in {**STEPS, **EVIDENCE}.items()
    }
    whole = LazyPipeline(lambda: sum((create() for create in STEPS.values()), Pipeline([])))
    return {**pipelines, "__default__": whole}
