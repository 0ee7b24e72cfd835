"""Typed settings of a router: a union by kind, each with its own keys."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from persyn_kedro.foundations.settings.base import Group, ModelName
from persyn_kedro.foundations.settings.plugins import kind

# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
RouterKind = Annotated[str, kind("language_model", "linear", "knn")]


class TrainRouterSettings(Group):
    """Which router, on which backbone, and how it is fitted.

    A key of another kind is an error; the user's own router may read all keys.
    """

    kind: RouterKind = Field(
        "language_model", description="or file.py:name, a domain.routers.base.TeacherRouter"
    )
    backbone: ModelName = Field(
        "smollm2", description="the model that reads prompts, one of models"
    )
    invalid: Literal["leave_out", "lose"] = Field(
        "leave_out", description="leave_out: no pairs (METHOD.md); lose: to all valid responses"
    )
    batch_size: int = Field(8, ge=1, description="prompts per training step or forward pass")
    max_prompt_tokens: int = Field(1024, ge=1, description="longer prompts are truncated")

    # Building or validating this class gives an instance of its kind's class.
    def __new__(cls, **values: Any) -> "TrainRouterSettings":
        return super().__new__(_class_of(values) if cls is TrainRouterSettings else cls)

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Any:
        if not isinstance(value, Mapping):
            return handler(value)
        if cls is TrainRouterSettings:
            return _class_of(value).model_validate(value)
        kind = value.get("kind", cls.model_fields["kind"].default)
        for other, settings in KINDS.items():
            for key in settings.model_fields:
                if key in value and key not in cls.model_fields:
                    raise ValueError(f"{key} is for kind {other}, and kind is {kind}: leave it out")
        return handler(value)


class _LanguageModel(Group):
    epochs: int = Field(4, ge=1, description="passes over the prompts")
    learning_rate: float = Field(1e-5, gt=0, le=1, description="of the backbone")
    head_learning_rate: float = Field(1e-3, gt=0, le=1, description="of the coefficient head")
    weight_decay: float = Field(0.01, ge=0, le=1, description="of AdamW")
    warmup_fraction: float = Field(0.1, ge=0, lt=1, description="share of the steps")


class _Linear(Group):
    ridge: float | None = Field(
        None,
        gt=0,
        le=1e12,
        description="none: chosen for each teacher by leave-one-out",
    )


class _Knn(Group):
    neighbours: int = Field(8, ge=1, description="nearest prompts whose rewards are averaged")


class LanguageModelRouterSettings(_LanguageModel, TrainRouterSettings):
    """The paper's router."""

    kind: Literal["language_model"] = "language_model"


class LinearRouterSettings(_Linear, TrainRouterSettings):
    """One ridge regression per teacher."""

    kind: Literal["linear"] = "linear"


class KnnRouterSettings(_Knn, TrainRouterSettings):
    """The mean of the nearest prompts' rewards."""

    kind: Literal["knn"] = "knn"


class PluginRouterSettings(_LanguageModel, _Linear, _Knn, TrainRouterSettings):
    """The user's own router, which may read any key."""

    kind: RouterKind


KINDS: dict[str, type[TrainRouterSettings]] = {
    "language_model": LanguageModelRouterSettings,
    "linear": LinearRouterSettings,
    "knn": KnnRouterSettings,
}


def settings_of_kind(kind: str, values: Mapping[str, Any]) -> TrainRouterSettings:
    """Return the settings of a kind from ``values``, ignoring the keys of other kinds."""
    own = _class_of({"kind": kind})
    return own(**{k: v for k, v in values.items() if k in own.model_fields} | {"kind": kind})


def _class_of(values: Mapping[str, Any]) -> type[TrainRouterSettings]:
    kind = values.get("kind", "language_model")
    return KINDS.get(kind, PluginRouterSettings) if isinstance(kind, str) else PluginRouterSettings
