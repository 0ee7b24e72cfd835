"""Where likelihood, and not quality, chooses the student's own family; how judges judged."""

import pyarrow as pa
import pytest

from persyn_kedro.domain.quality.judge.note import Judged, with_judged
from persyn_kedro.domain.reporting.notes import (
    family_notes,
    judge_notes,
    label_notes,
    tied_notes,
    unsolved_notes,
)
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers

JUDGE = {"kind": "judge", "model": "other", "rubric": "correctness"}
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


def test_each_judge_is_named_with_what_is_known_of_its_verdicts():
    pairs = {"replies": 24, "unreadable": 2, "failed": 1, "pairs": 10, "by_position": 4,
             "by_first": 3}  # fmt: skip
    lists = {"replies": 5, "lists": 5, "first_best": 3, "first_by_chance": 1.25}
    table = with_judged(pa.table({"quality": [1.0]}), [
        Judged("one", "correctness", "pairwise", 12, 3, pairs, 0.254, 4),
        Judged("two", "mine.yaml", "listwise", 20, 0, lists, None, 0),
    ])  # fmt: skip
    assert judge_notes(table) == [
        "Quality is what the judge one says by the rubric correctness (pairwise): of 24 replies 2 "
        "are unreadable and 1 failed; the quality of 3 of 12 answers is unknown.",
        "Verbosity of the judge one (pairwise): the rank correlation of its quality and the "
        "answer's length is 0.25, the mean over 4 prompts.",
        "Position, the judge one: of 10 pairs judged in both orders, 40 % have a verdict that "
        "follows the position (3 times the first, 1 times the second); they count as ties.",
        "Quality is what the judge two says by the rubric mine.yaml (listwise): of 5 replies 0 are "
        "unreadable and 0 failed; the quality of 0 of 20 answers is unknown.",
        "Position, the judge two: in 60 % of 5 lists the answer shown first is ranked best (25 % "
        "by chance).",
    ]
    assert judge_notes(pa.table({"quality": [1.0]})) == []


def rewards_of(prompts):
    """Return the rewards of prompts, each given as its answers' quality; "cut" is not valid."""
    rows = [
        {"prompt_id": str(p), "quality": 1.0 if q == "cut" else q, "valid": q != "cut"}
        for p, answers in enumerate(prompts)
        for q in answers
    ]
    return pa.Table.from_pylist(rows)


def unsolved(*prompts, alpha=0.4):
    return unsolved_notes(rewards_of(prompts), LabelSettings(alpha=alpha))


def test_prompts_that_no_teacher_solves_are_counted():
    solved = [(0.0, 1.0)] * 9
    (note,) = unsolved(*solved, (0.0, "cut", 0.0), (None, None))
    assert note.startswith("On 1 of 10 calibration prompts no usable answer is right. Learnability")
    assert unsolved(*solved, (0.0, 1.0), (0.0, 1.0), (0.0, 0.0)) == []  # less than a tenth
    assert unsolved(*solved) == [] and unsolved((None, "cut")) == []
    assert unsolved((0.0, 0.0), alpha=0) == []  # then such answers are all alike
    assert unsolved((0.0, 0.0), (0.0, 0.5)) == []  # a score, which says of none that it is wrong


def tied(*prompts, alpha=0.4, quality=JUDGE):
    return tied_notes(rewards_of(prompts), LabelSettings(alpha=alpha, quality=quality))


def test_prompts_whose_answers_a_judge_has_all_alike_are_counted():
    alike, apart = (10.0, 10.0), (10.0, 4.0)
    (note,) = tied(alike, apart, apart, (10.0, "cut"), (10.0, None), (7.0, 7.0 + 1e-12, "cut"))
    assert note.startswith("On 2 of 4 calibration prompts all usable answers have the same quality")
    assert tied(alike, apart, apart, apart) == []  # less than three in ten
    assert tied(apart) == [] and tied((10.0, None)) == []
    assert tied(alike, alpha=0) == [] and tied(alike, alpha=1) == []  # learnability: nothing, all
    assert tied(alike, quality={"kind": "exact_answer"}) == []  # all are right
    assert tied((1.0, 1.0), (0.0, 0.0)) == []  # so they are by a judge that says right or wrong


def test_a_term_that_is_a_score_counts_too():
    terms = [{"kind": "exact_answer"}, JUDGE]
    assert len(tied((1.5, 1.5), quality=terms)) == 1
