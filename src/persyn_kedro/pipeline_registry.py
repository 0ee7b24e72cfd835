"""The project's pipelines, in the order in which data flows."""

from collections.abc import Callable

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines import (
    evaluate,
    generate,
    label,
    prepare,
    route,
    sft,
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


def register_pipelines() -> dict[str, Pipeline]:
    """Return every step by its folder's name, and ``__default__``: all of them."""
    pipelines = {name: create() for name, create in STEPS.items()}
    return {**pipelines, "__default__": sum(pipelines.values(), Pipeline([]))}
