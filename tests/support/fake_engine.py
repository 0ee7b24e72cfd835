"""An engine without a model, and teachers that it answers for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines import registry
from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

PROMPTS = [(f"id{number}", f"prompt {number}") for number in range(5)]
ENGINE = EngineSettings(name="transformers", chunk_size=2)


def model(name: str, weights_id: str | None = None, template: str = "template"):
    return SimpleNamespace(
        name=name,
        weights_id=weights_id or name,
        chat_template=template,
        directory=Path("nowhere"),
        settings=ModelSettings(zoo="smollm2"),
    )


def recipe(
    teacher: str,
    weights: str = "w",
    system: str | None = None,
    price: float = 0.0,
    template: str = "template",
) -> Recipe:
    return Recipe(teacher, model(teacher, weights, template), system, SamplingSettings(), price)


@dataclass
class FakeEngine:
    """Echoes prompts in reverse order; fails those in ``failing``, dies after ``dies_after``."""

    failing: set[str] = field(default_factory=set)
    dies_after: int | None = None
    loads: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    prompt_tokens: int = 7
    requests: list[Request] = field(default_factory=list)

    def generate(self, engine: Engine, requests: Iterable[Request]) -> Iterator[Generation]:
        self.loads.append(engine.model.weights_id)
        self.templates.append(engine.model.chat_template)
        for number, request in enumerate(reversed(list(requests))):
            if number == self.dies_after:
                raise PersynError(f"{engine.name} {engine.model.name}: its process died.")
            self.requests.append(request)
            error = "no room" if request.prompt in self.failing else None
            text = "" if error else f"{request.system}: {request.prompt}"
            reason = "error" if error else "stop"
            tokens = 0 if error else 10
            yield Generation(request.key, text, reason, self.prompt_tokens, tokens, error)


def answer_by(
    monkeypatch, generate: Callable[[Engine, Iterable[Request]], Iterator[Generation]]
) -> None:
    """Have ``generate(engine, requests)`` answer for Transformers, in this process."""

    class Standing(Engine):
        in_child = False

        def generate(self, requests):
            return generate(self, requests)

    monkeypatch.setitem(registry.HERE, "transformers", Standing)


def answer(wanted, recipes, store, engine=ENGINE, seed=0):
    responses, calls = teachers.answer(wanted, recipes, store, engine, seed)
    return responses.to_pylist(), {row["teacher"]: row for row in calls.to_pylist()}
