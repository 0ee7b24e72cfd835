"""A plan counts only the prompts that route.focus leaves, once that is known."""

from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.planning.plan import estimate_table, make_plan
from persyn_kedro.domain.planning.work import Work
from persyn_kedro.domain.prompts.left_out import FOCUS_KEY, focus_identity
from persyn_kedro.domain.reporting.terminal import plan_text
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.models.resolve import identify_weights
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import FocusSettings, RouteSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset
from tests.unit.planning.test_planning import IDS, prompts, work

FOCUS = FocusSettings(keep="failed", samples=3)


def focused(**generate: Any) -> Work:
    return Work(**{**vars(work(**generate)), "route": RouteSettings(focus=FOCUS)})


def table(now: Work, **changed: Any) -> pads.Dataset:
    """Return the choice of prompts that these settings made: one of four is solved."""
    why = ["kept", "solved", "kept", "kept"]
    rows = [
        {"prompt_id": i, "why": w, "answers": 3, "pass_rate": 1.0 if w == "solved" else 0.0}
        for i, w in zip(IDS[2:6], why, strict=True)
    ]
    weights = identify_weights("tiny", now.models.root["tiny"])
    identity = focus_identity(FOCUS.model_copy(update=changed), now.rounds, weights)
    found = dataset(rows, schemas.FOCUS)
    return pads.dataset(found.to_table().replace_schema_metadata({FOCUS_KEY: identity}))


def calls(plan: Any, step: str) -> float:
    return sum(row["calls"] for row in plan.to_pylist() if row["step"] == step)


def test_prompts_left_out_are_not_planned_and_the_saving_is_said(tmp_path: Path) -> None:
    now, store = focused(), ResponseStore(tmp_path)
    plan, summary = make_plan(prompts(), None, now, store, table(now))
    assert calls(plan, "generate") == 3 and calls(plan, "label") == 2 * 2
    assert summary["prompts"]["train"] == 3
    assert calls(plan, "focus") == 4 * 3  # the student's answers, which this store lacks
    # no answer is known, so it may be as long as max_new_tokens: 100 or 200
    assert (summary["focus"]["saved_calls"], summary["focus"]["saved_tokens"]) == (1, 150)
    text = " ".join(plan_text(plan.to_pylist(), summary).split())
    assert "Prompts without an answer: 1 the student solves." in text
    assert "saves 1 teacher calls, of about 150 tokens" in text


@pytest.mark.parametrize("known", [False, True])
def test_until_it_is_known_all_are_planned_and_the_student_s_answers_too(
    known: bool, tmp_path: Path
) -> None:
    now = focused()
    other = table(now, samples=4) if known else None  # made by other settings
    plan, summary = make_plan(prompts(), None, now, ResponseStore(tmp_path), other)
    assert calls(plan, "generate") == 4 and "focus" not in summary
    assert any("an upper bound: which train prompts" in n for n in summary["notes"])
    rows = [row for row in plan.to_pylist() if row["step"] == "focus"]
    assert [(row["teacher"], row["responses"]) for row in rows] == [("student", 0)]  # no references


def test_the_first_round_s_prompts_are_planned_and_estimated(tmp_path: Path) -> None:
    """Which they are follows from their hashes, so it is known before anything is asked."""
    store, halves = ResponseStore(tmp_path), RoundsSettings(count=2)
    draws = [unit_draw(0, "round", prompt_id) for prompt_id in IDS[2:6]]
    first = sum(draw < 0.5 for draw in draws)
    assert 0 < first < 4
    now = Work(**{**vars(work()), "rounds": halves})
    plan, summary = make_plan(prompts(rounds=2), None, now, store)
    assert calls(plan, "generate") == first and calls(plan, "label") == 2 * 2
    assert "The routed calls are those of the first of 2 rounds." in summary["notes"]
    settings = (now.models, now.teachers, now.engine, now.generate)
    assert calls(estimate_table(prompts(rounds=2), *settings, store), "generate") == first
    assert calls(estimate_table(prompts(), *settings, store), "generate") == 4


def test_resampling_is_in_the_most(tmp_path: Path) -> None:
    again = work(verification="resample", max_calls=3)
    plan, summary = make_plan(prompts(), None, again, ResponseStore(tmp_path))
    assert any("verification is resample: a prompt may take up to 3" in n for n in summary["notes"])
    once = make_plan(prompts(), None, work(), ResponseStore(tmp_path))[0]
    most = [
        sum(r["most_completion_tokens"] for r in p.to_pylist() if r["step"] == "generate")
        for p in (plan, once)
    ]
    # a teacher may answer each of 4 train prompts twice, and 2 calibration prompts a second time
    assert most[0] / most[1] == (2 * 4 + 2) / 4 and calls(plan, "generate") == 4
