"""Several answers of a teacher to a prompt: terms and rewards, by hand and by plain Python."""

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.rewards.samples import best_samples
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset

TEACHERS = ["a", "b", "c"]
# (quality, sum_logp, tokens, finish_reason, response)
Answer = tuple[float | None, float | None, int, str, str]


def good(quality: float | None, sum_logp: float, tokens: int = 1, reason: str = "stop") -> Answer:
    return quality, sum_logp, tokens, reason, "text"


def rewards_of(answers: dict[str, dict[str, list[Answer]]], **label: Any) -> list[dict[str, Any]]:
    """Return the rows of the rewards table for ``{prompt: {teacher: answers}}``."""
    responses, statistics, quality = [], [], []
    for prompt_id, by_teacher in answers.items():
        for teacher, own in by_teacher.items():
            for number, (q, sum_logp, tokens, reason, text) in enumerate(own):
                key = {"response_key": f"{prompt_id}{teacher}{number}"}
                place = {"prompt_id": prompt_id, "teacher": teacher, "sample_index": number}
                responses.append({**place, **key, "response": text, "finish_reason": reason})
                statistics.append({**place, **key, "tokens": tokens, "sum_logp": sum_logp})
                quality.append({**place, **key, "quality": q})
    tables = [
        pa.Table.from_pylist(rows, schema)
        for rows, schema in (
            (responses, schemas.RESPONSES),
            (statistics, schemas.TOKEN_STATISTICS),
            (quality, schemas.QUALITY),
        )
    ]
    return compute_rewards(*tables, TEACHERS, LabelSettings(**label)).to_pylist()


THREE = {
    "p": {
        "a": [good(1.0, -1.0), good(0.0, -2.0), good(1.0, -3.0)],  # means 2/3 and -2
        "b": [good(0.0, -1.0), good(0.0, -1.0), good(1.0, -4.0, reason="length")],  # 0 and -1
        "c": [good(1.0, -4.0)],  # 1 and -4
    }
}


def test_terms_are_means_over_the_valid_samples_and_then_normalised() -> None:
    a, b, c = rewards_of(THREE)
    assert (a["quality"], a["learnability"]) == pytest.approx((2 / 3, -2))
    assert (b["quality"], b["learnability"]) == (0.0, -1.0)  # without the truncated one
    assert (c["quality"], c["learnability"]) == (1.0, -4.0)
    assert [row["valid_samples"] for row in (a, b, c)] == [3, 2, 1]
    # r = 0.6 q + 0.4 l; q is on its scale already, l from -4 to -1.
    assert a["reward"] == pytest.approx(0.6 * 2 / 3 + 0.4 * 2 / 3)
    assert [b["reward"], c["reward"]] == pytest.approx([0.4, 0.6])
    # Of a's samples: 0.6 + 0.4, 0.4 · 2/3, 0.6 + 0.4 · 1/3; their deviations from 2/3.
    deviations = [1 - 2 / 3, 0.4 * 2 / 3 - 2 / 3, 0.6 + 0.4 / 3 - 2 / 3]
    assert a["reward_sd"] == pytest.approx(math.sqrt(sum(d * d for d in deviations) / 2))
    assert (b["reward_sd"], c["reward_sd"]) == (0.0, None)


def test_the_best_is_the_best_valid_by_quality_then_learnability_then_order() -> None:
    rows = rewards_of(THREE)
    assert [(r["sample_index"], r["response_key"]) for r in rows] == [
        (0, "pa0"), (0, "pb0"), (0, "pc0"),
    ]  # fmt: skip
    a, b, c = rewards_of(THREE, samples="best")
    assert [(r["quality"], r["learnability"]) for r in (a, b, c)] == [(1, -1), (0, -1), (1, -4)]
    assert [r["reward"] for r in (a, b, c)] == pytest.approx([1.0, 0.4, 0.6])
    later = {"p": {"a": [good(0.0, -1.0), good(1.0, -3.0), good(1.0, -2.0), good(None, -1.0)]}}
    assert [row["sample_index"] for row in rewards_of(later, alpha=1.0)][0] == 2
    same = {"p": {"a": [good(1.0, -3.0), good(1.0, -2.0), good(1.0, -2.0)]}}
    assert rewards_of(same)[0]["sample_index"] == 1


def test_a_teacher_is_invalid_only_if_all_of_its_samples_are() -> None:
    failed: Answer = (None, None, 0, "error", "")
    a, b, c = rewards_of(
        {"p": {"a": [failed, good(1.0, -1.0)], "b": [failed, failed], "c": [good(0.0, -2.0)] * 2}}
    )
    assert [row["valid"] for row in (a, b, c)] == [True, False, True]
    assert (a["valid_samples"], a["sample_index"]) == (1, 1)
    assert (b["valid_samples"], b["sample_index"], b["reward"]) == (0, 0, None)
    assert [a["reward"], c["reward"]] == [1.0, 0.0]


def test_where_no_sample_is_valid_the_terms_are_still_told() -> None:
    cut = {"p": {"a": [good(0.0, -1.0, reason="length"), good(1.0, -3.0, reason="length")]}}
    a = rewards_of(cut)[0]
    assert (a["valid"], a["quality"], a["learnability"]) == (False, 0.5, -2.0)
    assert rewards_of(cut, allow_truncated=True)[0]["valid"]


def test_a_term_of_zero_weight_is_the_mean_of_what_is_known() -> None:
    some = {"p": {"a": [good(None, -1.0), good(1.0, -3.0)], "b": [good(0.0, -2.0)]}}
    a, b, _ = rewards_of(some, alpha=1.0)
    assert (a["quality"], a["learnability"], a["valid_samples"]) == (1.0, -2.0, 2)
    assert a["reward"] == b["reward"] == 0.5


def test_a_prompt_is_solved_by_one_right_sample() -> None:
    answers = {
        "p": {"a": [good(0.0, -1.0), good(1.0, -1.0)], "b": [good(0.0, -2.0)]},
        "q": {"a": [good(0.0, -1.0)] * 2, "b": [good(0.0, -2.0)]},
    }
    rows = rewards_of(answers, unsolved="leave_out")
    assert [row["valid"] for row in rows] == [True, True, False, False, False, False]
    assert [row["valid_samples"] for row in rows] == [2, 1, 0, 0, 0, 0]


def test_a_sample_twice_is_refused() -> None:
    row = {"prompt_id": "p", "teacher": "a", "sample_index": 1, "response": "x"}
    twice = pa.Table.from_pylist([{**row, "finish_reason": "stop"}] * 2, schemas.RESPONSES)
    empty = (schemas.TOKEN_STATISTICS.empty_table(), schemas.QUALITY.empty_table())
    with pytest.raises(PersynError, match=r"'a' has two responses to prompt p \(sample 1\)\."):
        compute_rewards(twice, *empty, TEACHERS, LabelSettings())


def test_the_best_samples_of_any_prompts_are_those_of_the_rewards() -> None:
    rows = [
        {"prompt_id": "p", "teacher": "b", "sample_index": 2},
        {"prompt_id": "p", "teacher": "gone", "sample_index": 1},
        {"prompt_id": "q", "teacher": "a", "sample_index": None},  # a table from before
        {"prompt_id": "elsewhere", "teacher": "a", "sample_index": 1},
    ]
    found = best_samples(dataset(rows, schemas.REWARDS), pa.array(["t", "q", "p"]), TEACHERS)
    assert found.tolist() == [[0, 0, 0], [0, 0, 0], [0, 2, 0]]


ANSWERS = st.tuples(
    st.sampled_from([None, 0.0, 0.5, 1.0]),
    st.sampled_from([None, -4.0, -2.0, -1.0]),
    st.integers(0, 2),
    st.sampled_from(["stop", "length", "error"]),
    st.sampled_from(["", "text"]),
)


def plain_rewards(
    answers: dict[str, list[Answer]], alpha: float, truncated: bool
) -> dict[str, tuple]:
    """METHOD section 1 for one prompt, one answer of each teacher, as it was before."""
    terms, valid = {}, {}
    for teacher, [(q, sum_logp, tokens, reason, text)] in answers.items():
        l = sum_logp / tokens if tokens and sum_logp is not None else None  # noqa: E741
        usable = bool(text) and tokens > 0 and reason in (["stop", "length"][: 1 + truncated])
        valid[teacher] = usable and (q is not None or alpha == 1) and (l is not None or alpha == 0)
        terms[teacher] = (q, l)
    scaled: dict[str, list[float]] = {t: [] for t in answers}
    for k in (0, 1):
        known = [terms[t][k] for t in answers if valid[t] and terms[t][k] is not None]
        low, high = min(known, default=0.0), max(known, default=0.0)
        for t in answers:
            value = terms[t][k]
            inside = 0.5 if high == low or value is None else (value - low) / (high - low)
            scaled[t].append(inside)
    return {
        t: (*terms[t], valid[t], (1 - alpha) * scaled[t][0] + alpha * scaled[t][1] if valid[t]
            else None)
        for t in answers
    }  # fmt: skip


@given(
    st.fixed_dictionaries(dict.fromkeys(TEACHERS, ANSWERS)),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.booleans(),
    st.sampled_from(["mean", "best"]),
    st.integers(1, 3),
)
@settings(max_examples=150)
def test_one_sample_or_equal_ones_give_what_one_answer_gave(
    answers: dict[str, Answer], alpha: float, truncated: bool, how: str, copies: int
) -> None:
    label = {"alpha": alpha, "allow_truncated": truncated, "samples": how}
    rows = rewards_of({"p": {t: [answer] * copies for t, answer in answers.items()}}, **label)
    expected = plain_rewards({t: [a] for t, a in answers.items()}, alpha, truncated)
    for row in rows:
        q, l, valid, reward = expected[row["teacher"]]  # noqa: E741
        assert (row["quality"], row["learnability"], row["valid"]) == (q, l, valid)
        assert row["reward"] == pytest.approx(reward, abs=1e-12)
        assert row["sample_index"] == 0 and row["response_key"] == f"p{row['teacher']}0"
        assert row["valid_samples"] == (copies if valid else 0)
        assert row["reward_sd"] == (pytest.approx(0, abs=1e-12) if valid and copies > 1 else None)
