"""What the models' processes of a run import: once, in the process that they are forked from."""

from typing import Any

_LANGUAGE_MODEL = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)
_TRAINING = (*_LANGUAGE_MODEL, "trl.trainer.sft_trainer", "peft")
_ROUTER = (*_LANGUAGE_MODEL, "sklearn.linear_model", "sklearn.neighbors")
_ENGINES = {
    "vllm": (*_LANGUAGE_MODEL, "vllm.entrypoints.llm"),
    "transformers": _LANGUAGE_MODEL,
    "ray": _LANGUAGE_MODEL,  # not ray itself: it starts threads
}
_BY_STEP = {
    "train_router": _ROUTER,
    "route": _ROUTER,
    "compare_routers": _ROUTER,
    "sft": _TRAINING,
    "compare": _TRAINING,
    "train_reward_model": _TRAINING,
}
_ASKING = {"label", "generate", "compare_routers"}
_ASKING_THE_STUDENT = {"evaluate", "compare"}


def imports_of(steps: set[str], engine: str, local_teachers: bool = True) -> list[str]:
    """Return the modules that the children of ``steps`` need with this engine, in order.

    ``local_teachers``: whether any teacher is no endpoint; the student never is one.
    """
    if "benchmark" in steps:  # the harness sets variables before these are imported
        return []
    wanted = [name for step in sorted(steps) for name in _BY_STEP.get(step, ())]
    if steps & _ASKING_THE_STUDENT or (local_teachers and steps & _ASKING):
        wanted += _ENGINES.get(engine, ())
    return list(dict.fromkeys(wanted))


def import_ahead_of(pipeline: Any, settings: dict[str, Any]) -> None:
    """Have the heavy libraries of this run imported once, when its first model starts."""
    from persyn_kedro.foundations.processes import import_ahead

    steps = {node.name.partition(".")[0] for node in pipeline.nodes}
    models = settings["models"].root
    local = any(not models[t.model].endpoint for t in settings["teachers"].root.values())
    import_ahead(imports_of(steps, settings["engine"].name, local))
