"""Does a reward predict students' scores? On students made up so that one reward does."""

import pyarrow as pa
import pytest

from persyn_kedro.domain.reporting.signal_figures import columns, rows
from persyn_kedro.domain.reporting.terminal import signals_text
from persyn_kedro.domain.signal_comparison.compare import compare_signals
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.signals import CompareSignalsSettings
from persyn_kedro.foundations.tables import schemas
from tests.unit.signal_comparison.labelled import labelled

PROMPTS = ["p0", "p1", "p2", "p3", "p4"]
# By likelihood a is the better answer of each, by ranks b is; quality is equal.
ANSWERS = {p: {"a": (1.0, 4, -4.0, 400.0), "b": (1.0, 4, -8.0, 16.0)} for p in PROMPTS}


def student(name, from_b, score):
    """Return trials and examples of a student with ``from_b`` examples of b's, the rest a's."""
    row = {"strategy": name, "prompt": "?", "response": "!"}
    teachers = ["b"] * from_b + ["a"] * (len(PROMPTS) - from_b)
    examples = [
        {**row, "prompt_id": text_id(p), "teacher": t, "response_key": text_id(p + t)}
        for p, t in zip(PROMPTS, teachers, strict=True)
    ]
    trials = [
        {"strategy": name, "seed": seed, "prompt_id": text_id("test"), "quality": score + jitter,
         "response_key": text_id(name), "finish_reason": "stop", "completion_tokens": 1}
        for seed, jitter in ((1, 0.01), (2, -0.01))
    ]  # fmt: skip
    return trials, examples


def test_the_reward_that_ranks_the_students_is_found():
    made = [student(f"s{b}", b, 0.1 * b) for b in range(6)]
    made.append(student("oracle", 0, 1.0))  # with fewer examples than the others
    made.append((made[0][0], [{**row, "strategy": "twin"} for row in made[0][1]]))
    trials = [row for own, _ in made for row in own]
    untrained = {**trials[0], "strategy": "untrained", "seed": None, "quality": 0.9}
    runs = {
        "compare": (
            pa.Table.from_pylist([untrained, *trials], schemas.TRIALS),
            pa.Table.from_pylist([r for _, own in made for r in own], schemas.STRATEGY_EXAMPLES),
        )
    }
    settings = CompareSignalsSettings(
        signals=["mean_log_likelihood", "rank_surprisal"],
        normalisations=["prompt_minmax"],
        alphas=[0.0, 0.4],
    )
    found = compare_signals(labelled(ANSWERS), runs, settings)
    assert found["students"] == {"compare": 6}  # those of equal sets count once
    own, quality, ranks = found["rows"]
    # Ranks: b's 16 over 8 nats is better than a's 400 over 4.
    assert (ranks["signal"], ranks["changed"], ranks["shares"]) == ("rank_surprisal", 1.0, [0, 1])
    assert own["predicts"]["compare"]["value"] == pytest.approx(-1)
    assert ranks["predicts"]["compare"]["value"] == pytest.approx(1)
    assert quality["predicts"]["compare"] is None  # all answers are equally good
    (verdict,) = found["verdicts"]
    assert "rank_surprisal (prompt_minmax, alpha 0.4) predicts the scores best" in verdict
    assert "the settings' own: -1.00" in verdict
    for text in (signals_text(found), "".join(cells for row in rows(found) for cells in row)):
        assert "rank_surprisal" in text and "1.00 [0.63, 1.00]" in text
    assert {len(row) for row in rows(found)} == {len(columns(found))}


def test_without_trials_only_choices_are_compared():
    found = compare_signals(labelled(ANSWERS), {}, CompareSignalsSettings(alphas=[1.0]))
    assert found["students"] == {} and found["verdicts"] == []
    assert found["notes"] == [
        "local_likelihood is left out: the student has not read the answers sentence by sentence "
        "(set label.local to true and run `kedro run --pipelines=label`)."
    ]
    assert {row["signal"] for row in found["rows"]} == {
        "mean_log_likelihood", "rank_surprisal", "brier", "lark", "worst_window",
    }  # fmt: skip


def test_too_few_students_are_said_to_be():
    trials, examples = student("s", 1, 0.5)
    runs = {
        "fit_signal": (
            pa.Table.from_pylist(trials, schemas.TRIALS),
            pa.Table.from_pylist(examples, schemas.STRATEGY_EXAMPLES),
        )
    }
    found = compare_signals(labelled(ANSWERS), runs, CompareSignalsSettings())
    assert found["verdicts"] == [
        "The students of fit_signal (1) are too few or too equal to tell rewards apart."
    ]
