"""Raw parameters to typed groups; the first mistake is reported in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import MAX_SEED
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.experiments import (
    BenchmarkSettings,
    CompareRoutersSettings,
    TrainRewardModelSettings,
)
from persyn_kedro.foundations.settings.export import ExportSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import QUALITY_FORMS, LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from persyn_kedro.foundations.settings.raw_values import check_values, it_is, shown, spoken
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import RouteSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.signals import CompareSignalsSettings, FitSignalSettings
from persyn_kedro.foundations.settings.student import (
    DpoSettings,
    EvaluateSettings,
    SftSettings,
    StudentSettings,
)
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.settings.tracking import TrackingSettings
from persyn_kedro.foundations.settings.vllm_keys import with_engine_s


@dataclass(frozen=True)
class Settings:
    """All settings of a project: the seed, and a group for each key of ``conf/``."""

    seed: int
    models: Models
    teachers: Teachers
    student: StudentSettings
    engine: EngineSettings
    cluster: ClusterSettings
    prepare: PrepareSettings
    label: LabelSettings
    train_router: TrainRouterSettings
    route: RouteSettings
    generate: GenerateSettings
    sft: SftSettings
    dpo: DpoSettings
    evaluate: EvaluateSettings
    rounds: RoundsSettings
    compare_routers: CompareRoutersSettings
    compare: CompareSettings
    compare_signals: CompareSignalsSettings
    fit_signal: FitSignalSettings
    compare_quality: CompareQualitySettings
    benchmark: BenchmarkSettings
    train_reward_model: TrainRewardModelSettings
    export: ExportSettings
    tracking: TrackingSettings

    @property
    def ways_by_key(self) -> dict[str, QualitySettings]:
        """All ways of judging answers that are named, by the settings that they come from."""
        return {**self.label.ways_by_key, **self.compare_quality.ways_by_key}

    @property
    def has_local_teachers(self) -> bool:
        """Whether any teacher, or a judge, is not an endpoint; the student never is one."""
        asked = [teacher.model for teacher in self.teachers.root.values()]
        asked += [str(way.model) for way in self.ways_by_key.values() if way.kind == "judge"]
        return any(self.models.root[name].endpoint is None for name in asked)


GROUPS: dict[str, type[BaseModel]] = {
    name: kind for name, kind in get_type_hints(Settings).items() if name != "seed"
}
REQUIRED = ("models", "teachers", "student", "prepare")  # groups without defaults
_ALTERNATIVES = ("int", "float", "bool", "str")  # Pydantic's names for the members of a union


def with_groups(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw parameters with all groups that may be left out: empty, so with their defaults.

    Each local model gets what ``engine.vllm`` sets for all, if that is the engine.
    """
    return {**{name: {} for name in GROUPS if name not in REQUIRED}, **with_engine_s(raw)}


def read_settings(raw: Mapping[str, Any]) -> Settings:
    """Return the groups as their models, and the seed. All but ``REQUIRED`` may be left out.

    Raises:
        PersynError: names the first key that is missing, unknown or invalid.
    """
    for name in raw:
        if "." in str(name):
            raise PersynError(f"Unknown parameter {spoken(repr(name))}: {_nested(str(name))}.")
    seed = _seed(raw.get("seed"))
    groups: dict[str, Any] = {}
    if "engine" in raw:
        _checked_group("engine", raw["engine"])  # before the models get what it sets for all
    if "models" in raw:
        _checked_group("models", raw["models"])  # before they lose what another engine leaves
    raw = with_groups(raw)
    for name in GROUPS:
        if name not in raw:
            raise PersynError(f"Missing group of parameters {name!r}: add it to conf/.")
        groups[name] = _checked_group(name, raw[name])
    settings = Settings(seed, **groups)
    settings.cluster.check_training(settings.sft, settings.train_router)
    return settings


def _checked_group(name: str, raw: Any) -> Any:
    if not isinstance(raw, GROUPS[name]):  # otherwise Kedro's catalog has read it
        check_values(name, raw)
    return read_group(name, raw)


def read_group(name: str, raw: Any) -> Any:
    """Return a group as its model; one that is a model already is returned as it is.

    Raises:
        PersynError: names the first key that is missing, unknown or invalid.
    """
    try:
        return GROUPS[name].model_validate(dict(raw) if isinstance(raw, Mapping) else raw)
    except ValidationError as error:
        raise PersynError(_first_sentence(name, error)) from error


def _nested(name: str) -> str:
    """Return what to write instead of a key with dots."""
    *above, last = name.split(".")
    inner = "".join(f"{{{part}: " for part in [*above[1:], last])
    return f"write {spoken(f'{above[0]}: {inner}…' + '}' * len(above))}"


def _seed(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)  # as for every other integer
    if type(value) is not int:
        raise PersynError(f"Parameter seed must be an integer, not {shown(value)}.")
    if not 0 <= value <= MAX_SEED:
        raise PersynError(f"Parameter seed must be from 0 to {MAX_SEED} (it is {shown(value)}).")
    return value


def _first_sentence(group: str, error: ValidationError) -> str:
    """Return the first mistake in a group of settings, as one sentence."""
    first = error.errors()[0]
    place = tuple(part for part in first["loc"] if part not in QUALITY_FORMS)
    if first["type"].endswith("_type") and place[-1:] and place[-1] in _ALTERNATIVES:
        place = place[:-1]
        first["msg"] = "must be a number, string, boolean, or a list of these"
    key = spoken(".".join([group, *(str(part) for part in place)]))
    if first["type"] == "extra_forbidden":
        hint = f": {_nested(str(place[-1]))}" if "." in str(place[-1]) else ""
        return f"Unknown parameter {key}{hint}."
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    value = first["input"]
    if first["type"] == "string_type" and isinstance(value, (bool, int, float)):
        message = "must be a string: put it in quotes"
    told = it_is(key, value) if isinstance(value, (str, int, float, bool)) else ""
    return f"Parameter {key}: {message}{told}."
