"""Does a judge judge answers of its own?"""

from collections.abc import Mapping

from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.teachers import Teachers


def self_judged(
    models: Models, teachers: Teachers, ways: Mapping[str, QualitySettings], student: str
) -> list[str]:
    """Say of each judge that it judges its own answers, or those of the model that is trained.

    Args:
        ways: of judging answers, by the settings that they come from.
        student: its model.
    """

    def weights_of(name: str) -> str:
        return identify_weights(name, models.root[name])

    notes = []
    for key, way in ways.items():
        if way.kind != "judge":
            continue
        weights, used = weights_of(str(way.model)), teachers.root.items()
        own = [f"teacher {name}" for name, t in used if weights_of(t.model) == weights]
        if weights_of(student) == weights:
            own.append("the student")
        if own:
            notes.append(
                f"The judge {way.model} ({key}) is also {' and '.join(own)}: models favour "
                "text of their own, so its quality may be too high."
            )
    return notes
