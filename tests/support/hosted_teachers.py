"""Teachers on the tests' own endpoint."""

from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.endpoint import Endpoint

KEY = "sk-very-secret"


def remote(endpoint: Endpoint, **settings: object) -> ResolvedModel:
    """Return the server as a model that is given up on quickly."""
    fast = {"timeout_seconds": 0.7, "backoff_seconds": 0.01, "max_tries": 3, **settings}
    source = {"url": endpoint.url, "model": "m", "api_key_env": "TEST_KEY", **fast}
    return resolve_model("hosted", ModelSettings(endpoint=source))  # type: ignore[arg-type]


def recipe(model: ResolvedModel, teacher: str = "t", **more: object) -> Recipe:
    """Return a teacher of this model."""
    return Recipe(teacher, model, None, SamplingSettings(max_new_tokens=10), **more)  # type: ignore[arg-type]


def wanted(prompts: list[str], teacher: str = "t") -> dict[str, list[tuple[str, str]]]:
    """Return what ``teachers.answer`` is asked for: these prompts of one teacher."""
    return {teacher: [(f"id {p}", p) for p in prompts]}
