"""Choose the engine for a model, by the model and the settings; it is chosen only here."""

from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.base import Engine
from persyn_kedro.domain.engines.batch.engine import BatchEngine
from persyn_kedro.domain.engines.openai import OpenAIEngine
from persyn_kedro.domain.engines.plugin import PluginEngine
from persyn_kedro.domain.engines.ray import PluginOnRay, TransformersOnRay, VllmOnRay
from persyn_kedro.domain.engines.transformers import TransformersEngine
from persyn_kedro.domain.engines.vllm import VllmEngine
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.plugins import is_own

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

OWN = "file.py:name"
HERE: dict[str, type[Engine]] = {
    "transformers": TransformersEngine,
    "vllm": VllmEngine,
    OWN: PluginEngine,
}
ON_RAY: dict[str, type[Engine]] = {
    "transformers": TransformersOnRay,
    "vllm": VllmOnRay,
    OWN: PluginOnRay,
}


def local_engine(settings: EngineSettings) -> type[Engine]:
    """Return the engine class for models that are not hosted."""
    engines = ON_RAY if settings.name == "ray" else HERE
    return engines[OWN if is_own(settings.runs) else settings.runs]


def engine_of(model: "ResolvedModel", settings: EngineSettings) -> Engine:
    """Return the engine for this model, with the current cluster settings."""
    engine: type[Engine]
    if model.settings.endpoint:
        engine = BatchEngine if model.settings.endpoint.batch else OpenAIEngine
    else:
        engine = local_engine(settings)
    return engine(model, settings, cluster.current())
