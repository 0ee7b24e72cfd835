"""Typed settings of a router: a union by kind, each with its own keys."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, SerializeAsAny, model_validator

from persyn_kedro.foundations.settings.base import IF_SET, Group, ModelName
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.settings.router_keys import (
    EmbeddingSettings,
    KnnKeys,
    LanguageModelKeys,
    LinearKeys,
    MlpKeys,
    TaskTypeKeys,
)

# A known kind, or file.py:name for the user's own code (foundations.settings.plugins).
RouterKind = Annotated[
    str,
    kind(
        "language_model", "linear", "mlp", "knn", "task_type", "constant", "ensemble", "auto"
    ),
]  # fmt: skip
INHERITED = ("backbone", "invalid", "batch_size", "max_prompt_tokens")
"""Keys that a router among others (``members``, ``candidates``) has from the group around it."""


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
        for key in value:
            others = [k for k, settings in KINDS.items() if key in settings.model_fields]
            if others and key not in cls.model_fields:
                kinds = f"kind {others[0]}" if len(others) == 1 else f"kinds {', '.join(others)}"
                raise ValueError(f"{key} is for {kinds}, and kind is {kind}: leave it out")
        return handler(_completed(value))

    @property
    def parts(self) -> "list[TrainRouterSettings]":
        """The routers that this one is made of, if it is made of others."""
        return []

    @property
    def readers(self) -> list[str]:
        """The models that read prompts: this router's own, or those of its parts."""
        own = getattr(self, "embedding", EmbeddingSettings()).model or self.backbone
        return list(dict.fromkeys(r for part in self.parts for r in part.readers)) or [own]

    @property
    def trains_a_model(self) -> bool:
        """Whether a language model's weights are trained, not something small fitted in one go."""
        return self.kind == "language_model" and getattr(self, "tuning", "") != "head_only"

    @property
    def task_columns(self) -> list[str]:
        """The columns beside the prompts' texts that it reads."""
        own = [self.task_column] if isinstance(self, TaskTypeRouterSettings) else []
        return list(dict.fromkeys([*own, *(c for part in self.parts for c in part.task_columns)]))


class _Ensemble(Group):
    members: Annotated[list[SerializeAsAny[TrainRouterSettings]], IF_SET] = Field(
        [],
        description="routers, each as train_router, whose keys they inherit (backbone, invalid, "
        "batch_size, max_prompt_tokens); none: knn, and linear with loss weighted",
    )


class _Auto(Group):
    candidates: Annotated[dict[str, SerializeAsAny[TrainRouterSettings]], IF_SET] = Field(
        {},
        description="routers by name, as ensemble's; none: knn, linear, task_type and their "
        "ensemble. The constant always competes",
    )
    selection_folds: Annotated[int, IF_SET] = Field(
        5, ge=3, le=20, description="of the cross-validation that chooses"
    )
    insist: Annotated[str | None, IF_SET] = Field(
        None, description="the candidate to take, whatever the comparison says"
    )


class LanguageModelRouterSettings(LanguageModelKeys, TrainRouterSettings):
    """The paper's router."""

    kind: Literal["language_model"] = "language_model"

    @property
    def loss_name(self) -> str:
        """The loss, by its name."""
        return self.loss or "bradley_terry"


class LinearRouterSettings(LinearKeys, TrainRouterSettings):
    """A linear function of the embedding for each teacher; by default one ridge regression each."""

    kind: Literal["linear"] = "linear"


class MlpRouterSettings(MlpKeys, TrainRouterSettings):
    """A network with one hidden layer on the embedding."""

    kind: Literal["mlp"] = "mlp"


class KnnRouterSettings(KnnKeys, TrainRouterSettings):
    """The mean of the nearest prompts' rewards."""

    kind: Literal["knn"] = "knn"


class TaskTypeRouterSettings(TaskTypeKeys, TrainRouterSettings):
    """The mean rewards of a task's prompts."""

    kind: Literal["task_type"] = "task_type"


class ConstantRouterSettings(TrainRouterSettings):
    """The mean rewards of all prompts: always the same teacher."""

    kind: Literal["constant"] = "constant"


class EnsembleRouterSettings(_Ensemble, TrainRouterSettings):
    """The mean of several routers' standardised scores."""

    kind: Literal["ensemble"] = "ensemble"

    @model_validator(mode="after")
    def _simple(self) -> Self:
        _refuse("members", {m.kind for m in self.members} & {"ensemble", "auto"}, "ensemble")
        return self

    @property
    def parts(self) -> list[TrainRouterSettings]:
        """The members."""
        weighted = {"loss": "weighted", **_inherited(self)}
        return self.members or [
            settings_of_kind("knn", _inherited(self)), settings_of_kind("linear", weighted)
        ]  # fmt: skip


class AutoRouterSettings(_Auto, TrainRouterSettings):
    """The candidate that cross-validation finds best, or the constant."""

    kind: Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _known(self) -> Self:
        _refuse("candidates", {c.kind for c in self.candidates.values()} & {"auto"}, "auto")
        if self.insist is not None and self.insist not in self.named:
            raise ValueError(f"insist must be one of {', '.join(self.named)}")
        return self

    @property
    def named(self) -> dict[str, TrainRouterSettings]:
        """The candidates by name, the constant first."""
        kinds = ("knn", "linear", "task_type", "ensemble")
        given = self.candidates or {k: settings_of_kind(k, _inherited(self)) for k in kinds}
        return {"constant": settings_of_kind("constant", _inherited(self)), **given}

    @property
    def parts(self) -> list[TrainRouterSettings]:
        """The candidates."""
        return list(self.named.values())


class PluginRouterSettings(
    LanguageModelKeys, MlpKeys, KnnKeys, TaskTypeKeys, _Ensemble, _Auto, TrainRouterSettings
):
    """The user's own router, which may read any key."""

    kind: RouterKind


KINDS: dict[str, type[TrainRouterSettings]] = {
    "language_model": LanguageModelRouterSettings,
    "linear": LinearRouterSettings,
    "mlp": MlpRouterSettings,
    "knn": KnnRouterSettings,
    "task_type": TaskTypeRouterSettings,
    "constant": ConstantRouterSettings,
    "ensemble": EnsembleRouterSettings,
    "auto": AutoRouterSettings,
}


def settings_of_kind(kind: str, values: Mapping[str, Any]) -> TrainRouterSettings:
    """Return the settings of a kind from ``values``, ignoring the keys of other kinds."""
    own = _class_of({"kind": kind})
    return own(**{k: v for k, v in values.items() if k in own.model_fields} | {"kind": kind})


def _class_of(values: Mapping[str, Any]) -> type[TrainRouterSettings]:
    kind = values.get("kind", "language_model")
    return KINDS.get(kind, PluginRouterSettings) if isinstance(kind, str) else PluginRouterSettings


def _inherited(settings: TrainRouterSettings) -> dict[str, Any]:
    return {key: getattr(settings, key) for key in INHERITED}


def _completed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a router's keys with those that it inherits: its parts', and the backbone."""
    found = dict(value)
    model = found["embedding"].get("model") if isinstance(found.get("embedding"), Mapping) else None
    if model is not None:
        found.setdefault("backbone", model)
    own = {key: found[key] for key in INHERITED if key in found}
    if isinstance(found.get("members"), list):
        found["members"] = [_with(own, part) for part in found["members"]]
    if isinstance(found.get("candidates"), Mapping):
        found["candidates"] = {n: _with(own, part) for n, part in found["candidates"].items()}
    return found


def _with(own: Mapping[str, Any], part: Any) -> Any:
    return {**own, **part} if isinstance(part, Mapping) else part


def _refuse(key: str, kinds: set[str], outer: str) -> None:
    if kinds:
        raise ValueError(f"{key} of kind {outer} must not be of kind {min(kinds)}")
