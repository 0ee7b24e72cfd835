"""What a run's model processes import: once, in the process that they are forked from."""

from typing import Any

from persyn_kedro.foundations.settings import Needs, Settings
from persyn_kedro.runs.records import needs_of

_LANGUAGE_MODEL = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
)
_LIBRARIES = {
    Needs.MODEL: _LANGUAGE_MODEL,
    Needs.ROUTER: (*_LANGUAGE_MODEL, "sklearn.linear_model", "sklearn.neighbors"),
    Needs.TRAINER: (*_LANGUAGE_MODEL, "trl.trainer.sft_trainer", "peft"),
}
_ENGINES = {
    "vllm": (*_LANGUAGE_MODEL, "vllm.entrypoints.llm"),
    "transformers": _LANGUAGE_MODEL,
    "ray": _LANGUAGE_MODEL,  # not ray itself: it starts threads
}


def imports_of(needs: Needs, engine: str, local_teachers: bool = True) -> list[str]:
    """Return the modules that child processes of steps with these ``needs`` import, in order."""
    if Needs.HARNESS in needs:  # it sets environment variables before it imports these
        return []
    wanted = [name for need, names in _LIBRARIES.items() if need in needs for name in names]
    if Needs.STUDENT in needs or (local_teachers and Needs.TEACHERS in needs):
        wanted += _ENGINES.get(engine, ())
    return list(dict.fromkeys(wanted))


def import_ahead_of(pipeline: Any, settings: Settings) -> None:
    """Have this run's heavy libraries imported once, when its first model starts."""
    from persyn_kedro.foundations.processes import import_ahead

    needs, local = needs_of(pipeline.nodes, settings), settings.has_local_teachers
    import_ahead(imports_of(needs, settings.engine.name, local))
