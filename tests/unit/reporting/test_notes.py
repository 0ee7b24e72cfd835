"""Where likelihood, and not quality, chooses the student's own family."""

import pyarrow as pa
import pytest

from persyn_kedro.domain.reporting.notes import family_notes, label_notes
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers

MODELS = {
    "s": {"random": "chat", "random_seed": 1, "family": "ours"},
    "cousin": {"random": "chat", "random_seed": 2, "family": "ours"},
    "other": {"random": "chat", "random_seed": 3, "family": "theirs"},
    "unknown": {"random": "chat", "random_seed": 4},
}
# By prompt: (teacher, quality, reward); a reward of None is invalid.
PROMPTS = {
    "by quality": [("own", 1.0, 0.9), ("far", 0.0, 0.2)],
    "by likelihood, equal quality": [("own", 1.0, 0.9), ("far", 1.0, 0.6)],
    "by likelihood, against quality": [("own", 0.0, 0.5), ("far", 0.1, 0.4)],
    "unknown quality": [("own", None, 0.9), ("far", None, 0.6)],
    "another is best": [("own", 0.0, 0.1), ("far", 0.0, 0.6)],
    "nothing to compare": [("own", 0.0, 0.5), ("far", 1.0, None)],
}


def notes(teachers, **label):
    rows = [
        {"prompt_id": p, "teacher": t, "quality": q, "reward": r, "valid": r is not None}
        for p, answers in PROMPTS.items()
        for t, q, r in answers
    ]
    pool = {name: {"model": model} for name, model in teachers.items()}
    return family_notes(
        pa.Table.from_pylist(rows),
        Models.model_validate(MODELS),
        Teachers.model_validate(pool),
        StudentSettings(model="s"),
        LabelSettings(**label),
    )


@pytest.mark.parametrize("model", ["cousin", "s"])
@pytest.mark.parametrize("signal", ["mean_log_likelihood", "worst_window"])
def test_prompts_that_likelihood_decides_for_the_family_are_counted(model, signal):
    (note,) = notes({"own": model, "far": "other"}, learnability=signal)
    assert note.startswith(
        "On 3 of 5 calibration prompts a teacher of the student's own family (own)"
    )
    assert "--pipelines=compare_signals" in note


def test_nothing_is_said_without_the_family_or_without_likelihood():
    assert notes({"own": "other", "far": "unknown"}) == []
    assert notes({"own": "s", "far": "other"}, alpha=0) == []
    assert notes({"own": "s", "far": "other"}, learnability="rank_surprisal") == []


def test_another_signal_is_named():
    assert label_notes(LabelSettings()) == []
    (note,) = label_notes(LabelSettings(learnability="brier"))
    assert "brier (the mean Brier score" in note
