"""From the raw parameters to typed groups: the first thing wrong, in one sentence."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.experiments import (
    BenchmarkSettings,
    CompareRoutersSettings,
    CompareSettings,
    TrainRewardModelSettings,
)
from persyn_kedro.foundations.settings.export import HandOnSettings
from persyn_kedro.foundations.settings.models import (
    EngineSettings,
    Models,
    StudentSettings,
    Teachers,
)
from persyn_kedro.foundations.settings.steps import (
    EvaluateSettings,
    GenerateSettings,
    LabelSettings,
    PrepareSettings,
    RouteSettings,
    SftSettings,
    TrainRouterSettings,
)

EVIDENCE: dict[str, type[BaseModel]] = {  # read by steps that no default run has
    "compare_routers": CompareRoutersSettings,
    "compare": CompareSettings,
    "benchmark": BenchmarkSettings,
    "train_reward_model": TrainRewardModelSettings,
    "hand_on": HandOnSettings,
}
GROUPS: dict[str, type[BaseModel]] = {
    "models": Models,
    "teachers": Teachers,
    "student": StudentSettings,
    "engine": EngineSettings,
    "cluster": ClusterSettings,
    "prepare": PrepareSettings,
    "label": LabelSettings,
    "train_router": TrainRouterSettings,
    "route": RouteSettings,
    "generate": GenerateSettings,
    "sft": SftSettings,
    "evaluate": EvaluateSettings,
    **EVIDENCE,
}


def read_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the groups as their models, and the seed.

    Raises:
        PersynError: one sentence that names the first key which is missing, unknown or bad.
    """
    settings: dict[str, Any] = {"seed": raw.get("seed")}
    if type(settings["seed"]) is not int:
        raise PersynError(f"Parameter seed must be a whole number, not {settings['seed']!r}.")
    for name, kind in GROUPS.items():
        if name not in raw:
            raise PersynError(f"The parameters lack the group {name!r}.")
        _check_text(name, raw[name])
        try:
            settings[name] = kind.model_validate(raw[name])
        except ValidationError as error:
            raise PersynError(first_sentence(name, error)) from error
    settings["cluster"].check_training(settings["sft"], settings["train_router"])
    return settings


def _check_text(key: str, value: Any) -> None:
    """Refuse half characters, which YAML's "\\ud800" makes: no identity could hold them."""
    if isinstance(value, str) and not is_unicode(value):
        raise PersynError(f"Parameter {key} holds half a character (it is {value!r}).")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_text(key, name)
            _check_text(f"{key}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            _check_text(key, item)


def first_sentence(group: str, error: ValidationError) -> str:
    """Return the first thing wrong in a group of settings, in one sentence."""
    first = error.errors()[0]
    key = ".".join([group, *(str(part) for part in first["loc"])])
    if first["type"] == "extra_forbidden":
        return f"There is no parameter {key}."
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    shown = f" (it is {value!r})" if isinstance(value, (str, int, float, bool)) else ""
    return f"Parameter {key}: {message}{shown}."
