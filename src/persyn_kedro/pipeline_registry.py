"""The project's pipelines, in the order in which data flows."""

from collections.abc import Callable

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines import (
    benchmark,
    compare,
    compare_routers,
    evaluate,
    generate,
    label,
    prepare,
    route,
    sft,
    train_reward_model,
    train_router,
)

STEPS: dict[str, Callable[[], Pipeline]] = {
    "prepare": prepare.create_pipeline,
    "label": label.create_pipeline,
    "train_router": train_router.create_pipeline,
    "route": route.create_pipeline,
    "generate": generate.create_pipeline,
    "sft": sft.create_pipeline,
    "evaluate": evaluate.create_pipeline,
}


# Steps that measure, and the recipe of a reward model: run only where they are asked for.
EVIDENCE: dict[str, Callable[[], Pipeline]] = {
    "compare_routers": compare_routers.create_pipeline,
    "compare": lambda: compare_routers.create_pipeline() + compare.create_pipeline(),
    "benchmark": benchmark.create_pipeline,
    "train_reward_model": train_reward_model.create_pipeline,
}


# What each step makes, in the order in which data flows: by this a missing input is explained.
MAKERS: dict[str, Callable[[], Pipeline]] = {
    **STEPS,
    **EVIDENCE,
    "compare": compare.create_pipeline,
}


def register_pipelines() -> dict[str, Pipeline]:
    """Return every step by its folder's name, and ``__default__``: all but those that measure."""
    steps = {name: create() for name, create in STEPS.items()}
    evidence = {name: create() for name, create in EVIDENCE.items()}
    return {**steps, **evidence, "__default__": sum(steps.values(), Pipeline([]))}
