"""Remarks about labels and pool that a reader of the report should know."""

from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.models import Models, StudentSettings, Teachers
from persyn_kedro.foundations.settings.plugins import is_own
from persyn_kedro.foundations.settings.steps import LabelSettings


def label_notes(label: LabelSettings) -> list[str]:
    """Return remarks about the labels that a reader of the report should know."""
    if not is_own(label.learnability):
        return []
    return [f"Learnability is {label.learnability}'s, in its own unit."]


def pool_notes(models: Models, teachers: Teachers, student: StudentSettings) -> list[str]:
    """Return remarks about the pool that a reader of the report should know."""
    own, used = _weights(models, student.model), teachers.root.items()
    same = [name for name, t in used if _weights(models, t.model) == own]
    if not same:
        return []
    return [
        f"The pool holds the student's own model (teacher {', '.join(same)}): its text is the "
        "likeliest to the student by construction, so learnability favours it where quality ties."
    ]


def _weights(models: Models, name: str) -> str:
    return identify_weights(name, models.root[name])
