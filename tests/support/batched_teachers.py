"""Teachers on the tests' own server of batch jobs."""

from typing import Any

from persyn_kedro.domain import teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.domain.teachers.recipe import Recipe, make_recipes
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.settings.teachers import Teachers
from tests.support.batch_server import Service
from tests.support.hosted_teachers import wanted

PROMPTS = [f"What is {i} + 2?" for i in range(6)]


def batched(service: Service, kind: str, **changes: Any) -> Recipe:
    """Return a teacher, at 2 and 1 per million tokens; ``changes`` are of endpoint and sampling."""
    names = set(changes) & {"temperature", "top_p", "top_k", "max_new_tokens", "repetition_penalty"}
    sampling = {"max_new_tokens": 10, **{name: changes.pop(name) for name in names}}
    endpoint = {"url": service.url, "model": "m", "batch": kind, "max_tries": 1, **changes}
    teacher = {"model": "hosted", "system": "Be brief.", "sampling": sampling, "price": 2.0,
               "prompt_price": 1.0}  # fmt: skip
    settings = ModelSettings.model_validate({"endpoint": endpoint})
    pool = Teachers.model_validate({"t": teacher, "other": {**teacher, "system": "!"}})
    return make_recipes(pool, {"hosted": resolve_model("hosted", settings)})[0]


def models_of(kind: str, **changes: Any) -> Models:
    endpoint = {"url": "http://h/v1", "model": "m", "batch": kind, **changes}
    return Models.model_validate({"hosted": {"endpoint": endpoint}})


def ask(
    recipe: Recipe,
    store: ResponseStore,
    prompts: list[str] = PROMPTS,
    ledger: Ledger | None = None,
    **budget: float,
) -> list[dict[str, Any]]:
    """Return the teacher's answers, as far as the store has them in the end."""
    engine = EngineSettings(chunk_size=4, budget=Budget(**budget))  # type: ignore[arg-type]
    responses, _ = teachers.answer(wanted(prompts), [recipe], store, engine, 0, ledger, go_on=True)
    return responses.to_pylist()
