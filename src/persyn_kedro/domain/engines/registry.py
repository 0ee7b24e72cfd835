"""Engines for local models: three of the package, each one file, or the user's own function.

A module here has three functions: ``generate(requests, model, engine)`` (as in
transformers; Ray's is handed the cluster too), ``environment(engine)`` (variables of the
process that it runs in) and ``install()`` (how its library is installed, None where it is there).
What they take and give is in ``base``.
"""

from importlib import import_module
from types import ModuleType

from persyn_kedro.domain.engines.plugin import engine_function
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.models import EngineSettings
from persyn_kedro.foundations.settings.plugins import is_own


def engine_module(name: str) -> ModuleType:
    """Return the module of the engine ``name``, or of ``openai``, that of endpoints."""
    return import_module(f"persyn_kedro.domain.engines.{'plugin' if is_own(name) else name}")


def check_installed(engine: EngineSettings) -> None:
    """Raise a PersynError if the engine's library, or the user's own function, is not there."""
    if engine.name == "ray" and is_own(engine.inside):
        engine_function(engine.model_copy(update={"name": engine.inside}))
    if is_own(engine.name):
        engine_function(engine)
        return
    how = engine_module(engine.name).install()
    if how is not None:
        raise PersynError(
            f"Engine {engine.name} is not installed: {how}, or run with "
            "`--params=engine.name=transformers`."
        )
