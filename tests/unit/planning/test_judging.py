"""The calls of a judge, before the first of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.planning.actual import against_actual, judges_used
from persyn_kedro.domain.planning.judging import Judging
from persyn_kedro.domain.planning.notes import judge_notes
from persyn_kedro.domain.planning.plan import make_plan
from persyn_kedro.domain.quality.judge.judge import Judge
from persyn_kedro.domain.quality.judge.note import Judged
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.tables import schemas
from tests.support.scripted_judge import answers_of
from tests.support.tables import dataset
from tests.unit.planning.test_planning import IDS, PROMPT, SPLITS, prompts, store_answers, work

THINKS: dict[str, Any] = {"cheap": "strip", "dear": "strip"}


def source(reference: str | None = None) -> Any:
    rows = [
        {"prompt_id": i, "prompt": PROMPT, "split": split, "part": "fit", "source": "s",
         "reference": reference if number else None}
        for number, (i, split) in enumerate(zip(IDS, SPLITS, strict=True))
    ]  # fmt: skip
    return dataset(rows, schemas.PROMPTS)


def judge_row(store: ResponseStore, rows: Any = None, **quality: Any) -> dict[str, Any]:
    given = {"kind": "judge", "model": "far", "rubric": "instruction_following", "price": 10.0,
             "sampling": {"max_new_tokens": 50}, **quality}  # fmt: skip
    now = work()
    calls = Asking(store, now.engine, 1)
    judging = Judging(rows or source(), QualitySettings(**given), THINKS, calls)
    plan, summary = make_plan(prompts(), None, now, store, judging=judging)
    (row,) = [row for row in plan.to_pylist() if row["teacher"] == "the judge"]
    assert any("come on top of the teachers'" in note for note in summary["notes"])
    told = "What a judge is asked in compare, compare_quality and fit_signal is not counted."
    assert told in summary["notes"]
    return row


@pytest.mark.parametrize(
    ("mode", "samples", "calls"),
    [("score", 1, 4), ("pairwise", 1, 4), ("listwise", 1, 2), ("listwise", 3, 6)],
)
def test_a_judge_is_asked_about_each_answer_pair_or_list(
    mode: str, samples: int, calls: int, tmp_path: Path
) -> None:
    """Two prompts with two answers each; no reply is known, so each may take 50 tokens."""
    row = judge_row(ResponseStore(tmp_path), mode=mode, samples=samples)
    assert (row["step"], row["calls"], row["responses"]) == ("label", calls, calls)
    assert row["completion_tokens"] == row["most_completion_tokens"] == calls * 50
    assert row["cost"] == pytest.approx(calls * 50 * 10 / 1e6)
    assert row["prompt_tokens"] > calls * 300  # the rubric, and answers of up to 150 tokens


def test_verdicts_in_the_store_are_not_counted_again(tmp_path: Path) -> None:
    """Both teachers' answers to one prompt are known, and equal: judged once, 1 call of 4 less."""
    store, now = ResponseStore(tmp_path), work()
    for teacher in THINKS:
        store_answers(store, now, teacher, IDS[:1])
    assert judge_row(store)["calls"] == 3
    quality = QualitySettings(kind="judge", model="far", rubric="instruction_following",
                              price=10.0, sampling={"max_new_tokens": 50})  # fmt: skip
    model = resolve_models(now.models, ["far"])["far"]
    judge = Judge(model, quality, Asking(store, now.engine, 1))
    row = {"prompt_id": IDS[0], "prompt": PROMPT, "messages": None, "reference": None}
    (question,) = judge.mode.questions({**row, "metadata": None}, ["yes"])
    assert answers_of(question.text) == ["yes"]
    from persyn_kedro.foundations.prompts.conversation import prompt_id_of

    stored = {
        "response_key": judge.recipe.response_key(prompt_id_of(question.text)),
        "weights_id": judge.recipe.weights_id,
        "recipe_id": judge.recipe.recipe_id,
        "prompt_id": prompt_id_of(question.text),
        "sample_index": 0,
        "response": "?",
        "finish_reason": "stop",
        "prompt_tokens": 400,
        "completion_tokens": 7,
        "cached_prompt_tokens": None,
        "error": None,
        "engine": "openai",
    }
    store.append(judge.recipe.shelf, [stored])
    row = judge_row(store)
    assert row["calls"] == 2
    assert (row["prompt_tokens"], row["completion_tokens"]) == (800, 14)
    assert judge_row(store, mode="pairwise")["calls"] == 2  # equal answers are no pair


def test_prompts_without_a_reference_are_not_judged_by_one(tmp_path: Path) -> None:
    row = judge_row(ResponseStore(tmp_path), source("4"), rubric="correctness")
    assert row["calls"] == 2  # of the second prompt alone


def test_two_judges_stand_beside_what_each_has_used() -> None:
    ways = [
        QualitySettings(),
        QualitySettings(kind="judge", model="far", rubric="correctness", price=10.0),
        QualitySettings(kind="judge", model="tiny", rubric="correctness", prompt_price=2.0),
    ]
    used = [{"calls": 4, "prompt_tokens": 1000, "completion_tokens": 50, "cost": 5e-4},
            {"calls": 2, "prompt_tokens": 500, "completion_tokens": 9, "cost": 1e-3}]  # fmt: skip
    notes = [Judged(str(w.model), "correctness", "score", 4, 0, {"replies": 1, **counts}, None, 0)
             for w, counts in zip(ways[1:], used, strict=True)]  # fmt: skip
    amounts = ("prompt_tokens", "completion_tokens", "cost")
    row = {"step": "label", "teacher": "the judge", **dict.fromkeys(amounts, 0)}
    rows = [{**row, "calls": calls} for calls in (4, 3)]
    estimate = pa.Table.from_pylist(rows, schemas.PLAN)
    found = against_actual(estimate, {}, judges_used(notes, ways))
    assert [(r["calls"], r["actual_calls"]) for r in found] == [(4, 4), (3, 2)]
    assert [r["actual_completion_tokens"] for r in found] == [50, 9]
    assert [r["actual_cost"] for r in found] == pytest.approx([5e-4, 1e-3])
    assert not judges_used(notes[:1], ways)  # labels of other settings


def test_calls_for_routed_answers_are_said_not_to_be_counted() -> None:
    best = GenerateSettings(keep="best", samples=2)
    row = {"calls": 1, "cost": 0, "most_cost": 0}
    assert judge_notes([row], best)[-1].startswith("What a judge is asked in generate (keep is")
    assert judge_notes([], best) == []
