"""Which reward is recommended, on made-up scores of adapters."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.intervals.two_way import certainty
from persyn_kedro.domain.reporting.signal_figures import FIT_COLUMNS, fit_rows
from persyn_kedro.domain.signal_comparison.recommendation import recommend
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.signals import FitSignalSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.fit_signal.nodes import recommend_signal

ABOUT = {"examples": 3, "tokens": 9, "available": 9}


def reward(signal, alpha):
    return {"signal": signal, "alpha": alpha, "teacher": None, **ABOUT}


OWN, RANKS = reward("mean_log_likelihood", 0.4), reward("rank_surprisal", 1.0)
ALONE = {"signal": None, "alpha": None, "teacher": "t", **ABOUT}


def told(candidates, scores):
    """Return the trials of {name: (seeds, prompts) scores}, and the notes on their sets."""
    trials = [
        {"strategy": name, "seed": seed, "prompt_id": text_id(str(i)), "quality": q,
         "response_key": text_id(name), "finish_reason": "stop", "completion_tokens": 1}
        for name, lines in {**scores, "untrained": [scores["own"][0]]}.items()
        for seed, line in enumerate(lines, start=1)
        for i, q in enumerate(line)
    ]  # fmt: skip
    for row in trials:
        row["seed"] = None if row["strategy"] == "untrained" else row["seed"]
    table = pa.Table.from_pylist(trials, schemas.TRIALS)
    notes = {"own": "own", "budget": 9, "candidates": candidates, "left_out": ["other"]}
    return table, notes


def fitted(candidates, scores, **settings):
    """Return ``recommend`` of {name: (seeds, prompts) scores}."""
    return recommend(*told(candidates, scores), FitSignalSettings(**settings), 1)


def test_a_better_reward_is_recommended_with_its_interval():
    own = np.tile([0.0, 0.0, 0.0, 1.0], (2, 10))
    ranks = np.tile([1.0, 1.0, 0.0, 1.0], (2, 10))
    found = fitted({"own": OWN, "ranks": RANKS}, {"own": own.tolist(), "ranks": ranks.tolist()})
    first, second = found["rows"]
    assert (first["mean"], second["mean"], second["difference"]) == (0.25, 0.75, 0.5)
    sure = certainty(ranks - own, 0.95)
    assert second["interval"] == [sure.low, sure.high] and sure.low > 0
    assert first["wins"] + second["wins"] == pytest.approx(1) and second["wins"] > 0.99
    assert found["recommended"] == {"signal": "rank_surprisal", "alpha": 1.0}
    assert "Recommended: label.learnability: rank_surprisal, label.alpha: 1." in found["verdicts"]
    assert all(len(row) == len(FIT_COLUMNS) for row in fit_rows(found))
    assert found["untrained"] == 0.25 and found["n"] == 40
    assert found["notes"] == ["other is left out: none of its answers can be trained on."]


def test_a_kind_of_held_out_prompts_that_one_answer_is_right_on_is_noted():
    trials, notes = told({"own": OWN}, {"own": [[0.0, 1.0] * 6]})
    prompts = [
        {"prompt_id": text_id(str(i)), "prompt": f"{i}?", "source": "syllogism",
         "reference": "No" if i == 0 else "Yes" if i < 12 else "Maybe"}
        for i in range(40)
    ]  # fmt: skip
    source_prompts = pa.Table.from_pylist(prompts, schemas.SOURCE_PROMPTS)
    datasets = pads.dataset(trials), notes, pads.dataset(source_prompts)
    left_out, note = recommend_signal(*datasets, FitSignalSettings(), 1)["notes"]
    assert left_out.startswith("other is left out")
    assert note.startswith("Of 12 held-out prompts of syllogism with a reference, 11 have 'Yes': ")


def test_one_that_may_be_better_by_chance_is_not():
    scores = {"own": [[0.0, 1.0, 0.0, 1.0]], "ranks": [[0.0, 1.0, 1.0, 1.0]]}
    found = fitted({"own": OWN, "ranks": RANKS}, scores)
    assert found["recommended"] == {"signal": "mean_log_likelihood", "alpha": 0.4}
    said = " ".join(found["verdicts"])
    assert "not shown to be better, so keep label.learnability: mean_log_likelihood" in said
    assert "trained with one seed" in said


def test_the_best_of_many_must_be_better_than_luck_makes_one_of_them():
    """Its own interval is above 0, but not the one that holds for all ten at once."""
    rng = np.random.default_rng(0)
    names = [f"r{i}" for i in range(10)]
    scores = {"own": np.zeros((2, 60)), **{n: np.tile(rng.normal(0, 1, 60), (2, 1)) for n in names}}
    scores["r3"] += 0.32 - scores["r3"].mean()  # 0.32 is 2.4 standard errors
    candidates = {"own": OWN, **{name: reward(name, 1.0) for name in names}}
    found = fitted(candidates, {name: values.tolist() for name, values in scores.items()})
    row = found["rows"][4]
    alone = certainty(scores["r3"], 0.95)
    assert row["name"] == "r3" and alone.low > 0 > row["interval"][0]
    assert found["recommended"]["signal"] == "mean_log_likelihood"
    assert found["level"] == pytest.approx(0.95 ** (1 / 10), abs=0.002)
    assert (
        fitted({"own": OWN, "r3": RANKS}, {n: scores[n].tolist() for n in ("own", "r3")})[
            "recommended"
        ]["signal"]
        == "rank_surprisal"
    )


def test_a_teacher_alone_is_told_but_is_no_reward():
    scores = {"own": [[0.0, 1.0]], "quality": [[0.0, 0.0]], "teacher_t": [[1.0, 1.0]]}
    candidates = {"own": OWN, "quality": reward("quality", 0.0), "teacher_t": ALONE}
    found = fitted(candidates, scores)
    assert found["recommended"] == {"signal": "mean_log_likelihood", "alpha": 0.4}
    said = found["verdicts"]
    assert said[0].startswith("No reward tried trains a better adapter than the settings' own")
    assert "The adapter of t's answers alone has the highest score of all (1.000), but" in said[1]
    assert fit_rows(found)[2][0] == "always t"


def test_nothing_is_said_of_answers_that_cannot_be_judged():
    found = fitted({"own": OWN, "ranks": RANKS}, {"own": [[None]], "ranks": [[1.0]]})
    assert found["n"] == 0 and found["unknown"] == 1
    assert found["verdicts"] == ["Nothing can be said: the quality of no held-out answer is known."]
    assert [row[4] for row in fit_rows(found)] == ["–", "–"]
