"""An engine of the user's own: ``generate(requests, model, engine)``, in the model's process."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.foundations.settings.models import EngineSettings
from persyn_kedro.foundations.settings.plugins import load_function

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


def engine_function(engine: EngineSettings) -> Callable[..., Iterator[Generation]]:
    """Return the function that ``engine.name`` names.

    Raises:
        PersynError: it is not there, or does not take three arguments.
    """
    return load_function(engine.name, "requests", "model", "engine")


def environment(engine: EngineSettings) -> dict[str, str]:
    """Return no variables: the function may set its own before it imports its library."""
    return {}


def generate(
    requests: Iterable[Request], model: "ResolvedModel", engine: EngineSettings
) -> Iterator[Generation]:
    """Yield the generations of the user's own engine, one for each request."""
    yield from engine_function(engine)(requests, model, engine)
