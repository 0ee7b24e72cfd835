"""Which prompts get an answer: by the student's pass rate and by round, worked out by hand."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.prompts.focus import focus_table, round_schedule
from persyn_kedro.domain.prompts.left_out import focus_counts, focus_of, prompts_left_out, without
from persyn_kedro.domain.student.pass_rate import pass_rates
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id, unit_draw
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import FocusSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset, prompts_of

SEED = 7
IDS = [text_id(f"prompt {i}") for i in range(200)]


def prompts(count: int = 200, calibration: int = 20) -> pads.Dataset:
    """Return prompts of which every tenth has no reference; the last is for the test."""
    rows = [
        {
            "prompt_id": IDS[i],
            "reference": None if i % 10 == 0 else "1",
            "split": "calibration" if i < calibration else "train",
            "part": "fit" if i < calibration else "sft",
        }
        for i in range(count)
    ]
    test = {"prompt_id": text_id("test"), "reference": "1", "split": "test"}
    return dataset([*rows, test], schemas.PROMPTS)


def rated(rates: dict[str, float | None], **focus: Any) -> dict[str, str]:
    """Return why each of these prompts is kept or not, beside one without a reference."""
    ids = [*rates, "bare"]
    schedule = pa.table({"prompt_id": ids, "why": ["kept"] * len(ids)})
    known = {p: rate for p, rate in rates.items() if rate is not None}
    table = pa.table(
        {
            "prompt_id": pa.array([*known], pa.string()),
            "answers": pa.array([4] * len(known), pa.int32()),
        }
    )
    table = table.append_column("pass_rate", pa.array([*known.values()], pa.float64()))
    found = focus_table(schedule, table, FocusSettings(**focus), SEED)
    assert found.schema.names == schemas.FOCUS.names
    why = dict(zip(found["prompt_id"].to_pylist(), found["why"].to_pylist(), strict=True))
    assert why.pop("bare") == "kept"
    return why


def test_what_the_student_solves_is_left_out_and_unknown_pass_rates_stay() -> None:
    rates = {"a": 1.0, "b": 0.75, "c": 0.0, "d": None}
    kept = dict.fromkeys("abcd", "kept")
    assert rated(rates, keep="failed") == {**kept, "a": "solved"}
    assert rated(rates, keep="failed", solved=0.75) == {**kept, "a": "solved", "b": "solved"}


def test_the_frontier_keeps_a_prompt_with_the_probability_4_p_1_minus_p() -> None:
    for rate, share in ((0.0, 0.0), (0.25, 0.75), (0.5, 1.0), (1.0, 0.0)):
        why = rated(dict.fromkeys(IDS, rate), keep="frontier")
        expected = {i for i in IDS if unit_draw(SEED, "frontier", i) < share}
        assert {i for i in IDS if why[i] == "kept"} == expected
        assert abs(len(expected) / len(IDS) - share) < 0.1
        assert set(why.values()) <= {"kept", "off_frontier"}


def test_a_round_whose_prompts_are_all_left_out_is_refused() -> None:
    schedule = pa.table({"prompt_id": ["a", "b"], "why": ["kept", "kept"]})
    rates = pa.table({"prompt_id": ["a", "b"], "answers": [2, 2], "pass_rate": [0.0, 1.0]})
    with pytest.raises(PersynError, match="keep: frontier leaves no prompt .* pass rate is 0.500"):
        focus_table(schedule, rates, FocusSettings(keep="frontier"), SEED)


@given(st.dictionaries(st.sampled_from(IDS), st.none() | st.floats(0, 1), min_size=1))
@settings(max_examples=50)
def test_a_prompt_s_fate_does_not_depend_on_the_others(rates: dict[str, float | None]) -> None:
    for keep in ("failed", "frontier"):
        together = rated(rates, keep=keep)
        assert together == {p: rated({p: r}, keep=keep)[p] for p, r in rates.items()}


def test_each_train_prompt_is_used_by_one_round_and_calibration_by_the_first() -> None:
    rounds, before, used = RoundsSettings(count=3), None, []
    for number in (1, 2, 3):
        schedule = round_schedule(prompts(), rounds, SEED, number, before)
        kept = schedule.filter(pads.field("why") == "kept")
        used.append(kept["prompt_id"].to_pylist())
        checked = kept["prompt_id"].filter(kept["checkable"]).to_pylist()
        assert checked == [i for i in used[-1] if IDS.index(i) >= 20 and IDS.index(i) % 10]
        before = pads.dataset(focus_table(schedule, None, FocusSettings(), SEED))
    assert used[0][:20] == IDS[:20] and not set(IDS[:20]) & {*used[1], *used[2]}
    assert sorted(sum(used, [])) == sorted(IDS)
    assert all(45 < len(own) < 75 for own in [used[0][20:], *used[1:]])


def test_rounds_of_a_share_leave_the_rest_unused() -> None:
    schedule = round_schedule(prompts(), RoundsSettings(count=2, share=0.1), SEED)
    draws = {i: unit_draw(SEED, "round", i) for i in IDS[20:]}
    why = dict(zip(schedule["prompt_id"].to_pylist(), schedule["why"].to_pylist(), strict=True))
    assert {i for i in draws if why[i] == "kept"} == {i for i, draw in draws.items() if draw < 0.1}


def test_a_round_without_prompts_is_refused() -> None:
    nothing = pads.dataset(schemas.FOCUS.empty_table())  # the first round left none out
    with pytest.raises(
        PersynError, match="No train prompts are left for round 2: .*rounds.count: 2"
    ):
        round_schedule(prompts(), RoundsSettings(count=2), SEED, 2, nothing)


def test_a_pass_rate_is_the_mean_of_known_quality() -> None:
    quality = {"p": [1.0, 0.0, None], "q": [None] * 3}

    def ask(wanted: Any) -> tuple[pa.Table, pa.Table]:
        (own,) = wanted.values()
        rows = [
            {"prompt_id": p, "sample_index": s}
            for (p, _), s in zip(own, own.samples.tolist(), strict=True)
        ]
        assert rows == [{"prompt_id": p, "sample_index": s} for p in "pq" for s in range(3)]
        return schemas.with_unsettled(pa.Table.from_pylist(rows, schemas.OUTCOMES), 2), pa.table({})

    def check(outcomes: pa.Table) -> pa.Table:
        rows = outcomes.select(["prompt_id", "sample_index"]).to_pylist()
        found = [{**r, "quality": quality[r["prompt_id"]][r["sample_index"]]} for r in rows]
        return pa.Table.from_pylist(found, schemas.QUALITY)

    rates = pass_rates(prompts_of({"p": "1 + 1?", "q": "2 + 2?"}), 3, ask, check)
    assert rates.to_pylist() == [
        {"prompt_id": "p", "answers": 2, "pass_rate": 0.5},
        {"prompt_id": "q", "answers": 0, "pass_rate": None},
    ]
    assert schemas.unsettled_rows(rates.schema) == 2


def test_what_is_left_out_is_counted_and_explained() -> None:
    rows = [
        {"prompt_id": IDS[0], "why": "kept", "answers": 4, "pass_rate": 0.5},
        {"prompt_id": IDS[1], "why": "solved", "answers": 4, "pass_rate": 1.0},
        {"prompt_id": IDS[2], "why": "later_round"},
    ]
    focus = dataset(rows, schemas.FOCUS)
    assert prompts_left_out(focus).to_pylist() == IDS[1:3]
    assert without(pa.array(IDS[:4]), prompts_left_out(focus)).tolist() == [0, 3]
    assert focus_counts(focus.to_table(), 2, 30.0) == {
        "kept": 1, "solved": 1, "off_frontier": 0, "later_round": 1, "earlier_round": 0,
        "asked": 2, "answers": 8, "mean_pass_rate": 0.75, "saved_calls": 2, "saved_tokens": 30.0,
    }  # fmt: skip
    assert focus_of(focus, IDS[1]) == (
        "It gets no answer: the student solves it. The student's pass rate: 1.000 (of 4 answers)."
    )
    assert focus_of(focus, IDS[2]) == "It gets no answer yet: a later round uses it."
    assert focus_of(focus, IDS[3]) is None


@pytest.mark.parametrize(
    "focus",
    [{"samples": 1}, {"sampling": {"temperature": 0.0}}],
)
def test_a_frontier_needs_rates_between_0_and_1(focus: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="keep: frontier needs pass rates between 0 and 1"):
        FocusSettings(keep="frontier", **focus)
    assert FocusSettings(keep="failed", **focus).draws == 1


@pytest.mark.parametrize(
    ("rounds", "sentence"),
    [
        ({"share": 0.5}, "share is for count of 2 or more"),
        ({"count": 3, "share": 0.4}, "3 rounds of a share of 0.4 each need more than all"),
    ],
)
def test_rounds_that_cannot_be_are_refused(rounds: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RoundsSettings(**rounds)
