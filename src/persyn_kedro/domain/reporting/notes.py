"""Notes about labels and pool for the report's readers."""

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.designs.asked import asked_of
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


def design_notes(rewards: pa.Table) -> list[str]:
    """Say whom an incomplete design asked, and what that means for the figures."""
    asked = asked_of(rewards.schema)
    if asked is None:
        return []
    prompts, told = len(pc.unique(rewards["prompt_id"])), asked.adaptive
    pairs = f"{len(rewards)} of {prompts * len(asked.teachers)} pairs of prompt and teacher"
    notes = [
        f"Calibration asked {pairs} (label.design). Hit@k and regret of the router are among the "
        "teachers that a prompt was asked of; its reward is corrected for that."
    ]
    if told:
        batches = 1 + told["batches"]
        notes.append(
            f"It asked {batches} batch{'es' if batches > 1 else ''} and then ended: {told['why']}."
        )
        notes += [
            f"Teacher {name} was the best for no kind of prompt, and was asked no more after "
            f"{after} answers of all teachers."
            for name, after in told["dropped"].items()
        ]
    return notes


def _weights(models: Models, name: str) -> str:
    return identify_weights(name, models.root[name])
