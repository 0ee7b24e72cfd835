"""Teachers as recipes: the identities under which their responses are stored."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.prompts.conversation import SystemOrder
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.spending import Budget, Prices
from persyn_kedro.foundations.settings.teachers import Teachers

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True)
class Recipe:
    """A teacher with its model. Prices are per million completion or prompt tokens.

    Two teachers with the same weights, system prompt, chat template, sampling settings,
    ``extra_body`` and vLLM settings share their responses, whatever their names.

    Attributes:
        reply_schema: a JSON schema that each response must follow, where its server knows how.
        place: the settings that it has, if not ``teachers.<teacher>``: it is then no teacher.
    """

    teacher: str
    model: "ResolvedModel"
    system: str | None
    sampling: SamplingSettings
    price: float = 0.0
    prompt_price: float = 0.0
    budget: Budget = Budget()
    cached_prompt_price: float | None = None
    row_system: SystemOrder = "join"
    reply_schema: str | None = None
    place: str | None = None

    @property
    def spoken(self) -> str:
        """What messages call it."""
        return self.teacher if self.place else f"teacher {self.teacher!r}"

    @property
    def settings_key(self) -> str:
        """Where its settings are."""
        return self.place or f"teachers.{self.teacher}"

    @property
    def account(self) -> str:
        """Whose spending its own budget limits: two judges have one name, but each its budget."""
        return f"{self.place} {self.shelf}" if self.place else self.teacher

    @cached_property
    def weights_id(self) -> str:
        """The identity of the weights."""
        return self.model.weights_id

    @cached_property
    def recipe_id(self) -> str:
        """The identity of system prompt, chat template and sampling settings (not of names)."""
        return settings_id(self._settings)

    @cached_property
    def shelf(self) -> str:
        """The shelf in the response store: one per pair of weights and recipe."""
        return settings_id({"weights_id": self.weights_id, "recipe_id": self.recipe_id})

    @property
    def identity(self) -> dict[str, Any]:
        """A readable description of the shelf, for its identity.json."""
        return {
            "model": self.model.name,
            "weights_id": self.weights_id,
            "recipe_id": self.recipe_id,
            **self._settings,
        }

    def cost(self, prompt_tokens: float, completion_tokens: float, cached: float = 0) -> float:
        """Return the cost of these tokens; ``cached`` are part of the prompt's."""
        prices = Prices(self.price, self.prompt_price, self.cached_prompt_price)
        return prices.cost(prompt_tokens, completion_tokens, cached)

    def response_key(self, prompt_id: str, sample_index: int = 0) -> str:
        """Return the identity of this recipe's response to a prompt."""
        # Equals settings_id of the four values; written out for speed, as it runs for every prompt
        weights_id, recipe_id = self._quoted
        return text_id(
            f'{{"prompt_id": {_quoted(prompt_id)}, "recipe_id": {recipe_id}, '
            f'"sample_index": {sample_index}, "weights_id": {weights_id}}}'
        )

    @cached_property
    def _quoted(self) -> tuple[str, str]:
        return _quoted(self.weights_id), _quoted(self.recipe_id)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        extra_body, vllm = self.model.settings.extra_body, self.model.settings.vllm_identity
        return {
            "system": self.system,
            "chat_template": self.model.chat_template,
            "sampling": self.sampling.identity,
            **({"extra_body": extra_body} if extra_body else {}),
            **({"vllm": vllm} if vllm else {}),
            **({} if self.row_system == "join" else {"row_system": self.row_system}),
            **({"reply_schema": self.reply_schema} if self.reply_schema else {}),
        }


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def make_recipes(teachers: Teachers, models: "dict[str, ResolvedModel]") -> list[Recipe]:
    """Return the teachers' recipes in the settings' order; ``models`` by the models' names.

    Prices are those of the calls as they are made: lower by a batch API.
    """
    recipes = []
    for name, teacher in teachers.root.items():
        model = models[teacher.model]
        prices = teacher.prices.times(model.settings.price_factor)
        recipes.append(
            Recipe(
                name,
                model,
                teacher.system,
                teacher.sampling,
                prices.completion,
                prices.prompt,
                teacher.budget,
                prices.cached,
                teacher.row_system,
            )
        )
    return recipes


def resolve_recipes(teachers: Teachers, models: Models) -> list[Recipe]:
    """Return the teachers' recipes; each model is fetched once."""
    names = dict.fromkeys(teacher.model for teacher in teachers.root.values())
    return make_recipes(teachers, resolve_models(models, names))


def pool_identity(recipes: list[Recipe]) -> list[dict[str, str]]:
    """Return what a router must store about the pool, in the settings' order."""
    return [
        {"teacher": r.teacher, "weights_id": r.weights_id, "recipe_id": r.recipe_id}
        for r in recipes
    ]
