"""Typed settings of the teachers."""

from typing import Annotated

from pydantic import ConfigDict, Field, RootModel, ValidationInfo, field_validator, model_validator

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import RowSystem
from persyn_kedro.foundations.settings.base import FREE_TEXT, IF_SET, NO_EFFECT, Group, ModelName
from persyn_kedro.foundations.settings.models import Models, ModelSettings, Think, check_names
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.spending import Budget, Prices

MAX_SAMPLES = 1000  # answers of one teacher to one prompt


class TeacherSettings(Group):
    """A model with its system prompt, sampling, and prices (per million tokens)."""

    model: ModelName = Field(description="one of models")
    system: Annotated[str | None, FREE_TEXT] = Field(
        None, description="a system message; none: the template's default"
    )
    row_system: Annotated[RowSystem, IF_SET] = Field(
        "join", description="a row's own system message: after the teacher's, instead, or left out"
    )
    sampling: SamplingSettings = SamplingSettings()
    samples: Annotated[int, IF_SET] = Field(
        1,
        ge=1,
        le=MAX_SAMPLES,
        description="answers to each calibration prompt; more need a temperature above 0",
    )
    price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="per million completion tokens"
    )
    prompt_price: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, le=1e12, description="per million prompt tokens"
    )
    cached_prompt_price: Annotated[float | None, NO_EFFECT, IF_SET] = Field(
        None, ge=0, le=1e12, description="of those read from the server's cache; none: prompt_price"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()

    @property
    def prices(self) -> Prices:
        """The three prices."""
        return Prices(self.price, self.prompt_price, self.cached_prompt_price)

    @field_validator("cached_prompt_price")
    @classmethod
    def _cache_is_cheaper(cls, price: float | None, info: ValidationInfo) -> float | None:
        if price is not None and price > info.data.get("prompt_price", price):
            raise ValueError("must not be above prompt_price")  # which budgets reserve
        return price

    @property
    def greedy(self) -> bool:
        """Whether it would give the same answer again."""
        return self.sampling.temperature == 0

    @model_validator(mode="after")
    def _samples_differ(self) -> "TeacherSettings":
        if self.samples > 1 and self.greedy:
            raise ValueError(
                f"samples is {self.samples}, but sampling.temperature is 0, so all of them would "
                "be the same answer: raise it, or set samples to 1"
            )
        return self


class Teachers(RootModel[dict[str, TeacherSettings]]):
    """The pool of teachers; their order in the settings breaks ties."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _two_or_more(self) -> "Teachers":
        if len(self.root) < 2:
            raise ValueError("routing needs at least two teachers")
        check_names(self.root)
        return self


def check_sampling(models: Models, teachers: Teachers) -> None:
    """Refuse sampling settings that a teacher's model cannot take.

    These are null ones, if it is not hosted, and those that Anthropic's batches lack.

    Raises:
        PersynError: names the first such setting.
    """
    for name, teacher in teachers.root.items():
        check_model_sampling(f"teachers.{name}", teacher.model, teacher.sampling, models)


def check_model_sampling(key: str, name: str, sampling: SamplingSettings, models: Models) -> None:
    """As ``check_sampling``, for one that asks a model by its name.

    Args:
        key: the settings of the one that asks.
    """
    if models.root[name].batch == "anthropic":
        _check_anthropic(key, name, sampling, models.root[name])
    if sampling.unset and models.root[name].endpoint is None:
        raise PersynError(
            f"Parameter {key}.sampling.{sampling.unset[0]}: null is for hosted models only; model "
            f"{name!r} is local and needs a value."
        )


def _check_anthropic(key: str, name: str, sampling: SamplingSettings, model: ModelSettings) -> None:
    why = "Anthropic's Messages API (endpoint.batch: anthropic)"
    if sampling.repetition_penalty not in (None, 1.0):
        parameter = f"{key}.sampling.repetition_penalty"
        raise PersynError(f"Parameter {parameter}: {why} has none; set it to null.")
    if (sampling.temperature or 0) > 1:
        raise PersynError(f"Parameter {key}.sampling.temperature: {why} takes at most 1; lower it.")
    if model.template_arguments:
        raise PersynError(
            f"Parameter models.{name}.template_arguments: {why} has none; remove them."
        )


def thinks_of(models: Models, teachers: Teachers) -> dict[str, Think]:
    """Return whether each teacher's ``<think>`` text is kept, as its model's ``think`` says."""
    return {name: models.root[t.model].think for name, t in teachers.root.items()}
