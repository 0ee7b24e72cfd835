"""Notes about labels and pool for the report's readers."""

from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.plugins import is_own
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers


def label_notes(label: LabelSettings) -> list[str]:
    """Return notes about the labels for the report's readers."""
    notes = []
    if is_own(label.learnability):
        notes.append(f"Learnability is computed by {label.learnability}, in its own unit.")
    if label.normalise != "prompt_minmax":
        notes.append(
            f"Quality and learnability are normalised by {label.normalise} (label.normalise), not "
            "as in the paper."
        )
    return notes


def pool_notes(models: Models, teachers: Teachers, student: StudentSettings) -> list[str]:
    """Return notes about the pool for the report's readers."""
    own, used = _weights(models, student.model), teachers.root.items()
    same = [name for name, t in used if _weights(models, t.model) == own]
    if not same:
        return []
    return [
        f"The pool contains the student's own model (teacher {', '.join(same)}). The student finds "
        "its text the most likely by construction, so learnability favours it at equal quality."
    ]


def _weights(models: Models, name: str) -> str:
    return identify_weights(name, models.root[name])
