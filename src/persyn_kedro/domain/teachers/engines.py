"""Engines for local models, each found by its file: ``engine.name: x`` is ``x_engine.py`` here.

Such a file has three functions: ``generate(requests, model, engine)`` (as in transformers_engine),
``environment(engine)`` (variables of the process that it runs in) and ``install()`` (how its
library is installed, None where it is there). What they take and give is in ``engine``.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import EngineSettings


def engine_names() -> list[str]:
    """Return the names that ``engine.name`` may have: all but that of endpoints."""
    files = Path(__file__).parent.glob("*_engine.py")
    return sorted({path.stem.removesuffix("_engine") for path in files} - {"openai"})


def engine_module(name: str) -> ModuleType:
    """Return the module of the engine ``name``, or of ``openai``, that of endpoints."""
    return import_module(f"persyn_kedro.domain.teachers.{name}_engine")


def check_named(engine: EngineSettings) -> None:
    """Raise a PersynError if there is no engine of this name."""
    if engine.name not in engine_names():
        raise PersynError(f"engine.name is {engine.name!r}; there are {', '.join(engine_names())}.")


def check_installed(engine: EngineSettings) -> None:
    """Raise a PersynError if there is no such engine, or its library is not there."""
    check_named(engine)
    how = engine_module(engine.name).install()
    if how is not None:
        raise PersynError(
            f"Engine {engine.name} is not installed: {how}, or run with "
            "`--params=engine.name=transformers`."
        )
