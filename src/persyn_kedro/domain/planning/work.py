"""The settings that determine how much work there is."""

from dataclasses import dataclass

from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import RouteSettings
from persyn_kedro.foundations.settings.student import EvaluateSettings, SftSettings, StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers


@dataclass(frozen=True)
class Work:
    """The settings that determine how much work there is."""

    models: Models
    teachers: Teachers
    student: StudentSettings
    engine: EngineSettings
    generate: GenerateSettings
    sft: SftSettings
    evaluate: EvaluateSettings
    route: RouteSettings = RouteSettings()
    rounds: RoundsSettings = RoundsSettings()
