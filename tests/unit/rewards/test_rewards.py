"""Rewards against an example worked out by hand, and the edges of validity."""

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.rewards.reward import (
    compute_rewards,
    fitted_rewards,
    never_valid,
    reward_matrix,
    tell_apart,
)
from persyn_kedro.domain.rewards.scales import normalise
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables.schemas import REWARDS

TEACHERS = ["a", "b", "c"]
NAN = float("nan")
# One answer: (quality, sum_logp, tokens), with the response's text and finish reason if unusual.
WORKED = {"p": {"a": (1.0, -2.0, 4), "b": (0.0, -4.0, 2), "c": (1.0, -12.0, 8)}}


def rewards_of(answers, teachers=TEACHERS, **settings):
    responses, statistics, quality = [], [], []
    for prompt_id, by_teacher in answers.items():
        for teacher, (q, sum_logp, tokens, *rest) in by_teacher.items():
            text, reason = (*rest, "text", "stop")[:2] if len(rest) != 1 else (rest[0], "stop")
            key = f"{prompt_id}-{teacher}"
            row = {"prompt_id": prompt_id, "teacher": teacher, "response_key": key}
            row["sample_index"] = 0
            responses.append({**row, "response": text, "finish_reason": reason})
            statistics.append({**row, "tokens": tokens, "sum_logp": sum_logp})
            quality.append({**row, "quality": q})
    tables = [pa.Table.from_pylist(rows) for rows in (responses, statistics, quality)]
    return compute_rewards(*tables, teachers, LabelSettings(**settings))


def column(table, name):
    return table.column(name).to_pylist()


def test_worked_example():
    # r_l = -2/4, -4/2, -12/8 = -0.5, -2, -1.5 over a range of 1.5: 1, 0, 1/3. r_q: 1, 0, 1.
    # alpha = 0.4: a 0.6 + 0.4 = 1; b 0; c 0.6 + 0.4/3 = 11/15.
    table = rewards_of(WORKED)
    assert table.schema == REWARDS
    assert column(table, "teacher") == TEACHERS
    assert column(table, "response_key") == ["p-a", "p-b", "p-c"]
    assert column(table, "learnability") == [-0.5, -2.0, -1.5]
    assert column(table, "quality_normalised") == [1, 0, 1]
    assert column(table, "learnability_normalised") == pytest.approx([1, 0, 1 / 3])
    assert column(table, "reward") == pytest.approx([1, 0, 11 / 15], abs=1e-12)
    assert column(table, "valid") == [True] * 3


def test_terms_without_range_give_one_half():
    table = rewards_of({"p": dict.fromkeys(TEACHERS, (0.0, -3.0, 3))})
    assert column(table, "reward") == [0.5] * 3


def test_whether_rewards_tell_teachers_apart():
    nan = float("nan")
    assert not tell_apart(np.array([[0.5, 0.5, 0.5], [1.0, 1.0 + 1e-10, nan], [nan, nan, nan]]))
    assert not tell_apart(np.array([[0.0, nan], [nan, 1.0]]))  # never two valid ones of a prompt
    assert tell_apart(np.array([[0.5, 0.5, nan], [0.2, nan, 0.3]]))


def test_a_teacher_of_empty_answers_is_never_valid():
    table = rewards_of(
        {p: {"a": (1.0, -2.0, 4), "b": (0.0, None, 0, ""), "c": (0.0, -1.0, 1)} for p in "pq"}
    )
    assert never_valid(table) == ["b"]
    # r_l: a -0.5, c -1, so a 1 and c 0; r_q: a 1, c 0.
    assert column(table, "reward")[:3] == [1.0, None, 0.0]


def test_single_valid_teacher_and_none():
    one = {"a": (1.0, -1.0, 1), "b": (None, -1.0, 1), "c": (1.0, None, None, "")}
    none = {"a": (NAN, -1.0, 1), "b": (float("inf"), -1.0, 1), "c": (1.0, NAN, 1)}
    table = rewards_of({"p": one, "q": none})
    assert column(table, "valid") == [True, False, False, False, False, False]
    assert column(table, "reward") == [0.5, None, None, None, None, None]
    assert column(table, "learnability_normalised") == [0.5, None, None, None, None, None]


@pytest.mark.parametrize(("allowed", "expected"), [(False, [1, 0, None]), (True, [0.7, 0, 0.9])])
def test_truncated_is_left_out_of_the_range_unless_allowed(allowed, expected):
    # Valid alone, a and b span 1..0 and -0.5..-1.5. With c: q 0.5, 0, 1; r_l 1, 0, 0.75.
    answers = {"a": (0.5, -0.5, 1), "b": (0.0, -1.5, 1), "c": (1.0, -0.75, 1, "cut", "length")}
    table = rewards_of({"p": answers}, allow_truncated=allowed)
    assert column(table, "reward") == pytest.approx(expected)


def test_failed_and_missing_answers_are_invalid():
    table = rewards_of({"p": {"a": (1.0, -1.0, 1, "x", "error"), "b": (1.0, -1.0, 1)}})
    assert column(table, "valid") == [False, True, False]
    assert column(table, "response_key") == ["p-a", "p-b", None]


def test_a_term_of_zero_weight_cannot_invalidate():
    answers = {"a": (None, -1.0, 1), "b": (None, -2.0, 1), "c": (1.0, -3.0, 1)}
    only_learnability = rewards_of({"p": answers}, alpha=1)
    assert column(only_learnability, "valid") == [True] * 3
    assert column(only_learnability, "reward") == [1, 0.5, 0]
    assert column(only_learnability, "quality_normalised") == [None, None, 0.5]
    only_quality = rewards_of({"p": {"a": (1.0, NAN, 1), "b": (0.0, -1.0, 1)}}, alpha=0)
    assert column(only_quality, "reward") == [1, 0, None]


@pytest.mark.parametrize("quality", [0.0, None])
def test_unsolved_prompts_can_be_left_out(quality):
    unsolved = {t: (quality, -1.0 - i, 1) for i, t in enumerate(TEACHERS)}
    answers = {"p": unsolved, "q": WORKED["p"]}
    table = rewards_of(answers, unsolved="leave_out", alpha=1)
    assert column(table, "valid") == [False] * 3 + [True] * 3
    assert all(column(rewards_of(answers, alpha=1), "valid"))


def test_rows_do_not_depend_on_the_order_of_the_responses():
    answers = {"q": WORKED["p"], "p": WORKED["p"]}
    assert rewards_of(answers).equals(rewards_of(dict(reversed(answers.items()))))


def test_two_responses_of_one_teacher_are_refused():
    row = {"prompt_id": "p", "teacher": "a", "response_key": "k", "response": "x"}
    row |= {"sample_index": 0}
    responses = pa.Table.from_pylist([{**row, "finish_reason": "stop"}] * 2)
    statistics = pa.Table.from_pylist([{"response_key": "k", "tokens": 1, "sum_logp": -1.0}])
    quality = pa.Table.from_pylist([{"response_key": "k", "quality": 1.0}])
    with pytest.raises(PersynError, match="two responses"):
        compute_rewards(responses, statistics, quality, TEACHERS, LabelSettings())


def test_reward_matrix_takes_the_teachers_order():
    answers = {"p": WORKED["p"], "q": {"a": (1.0, -1.0, 1), "c": (0.0, -2.0, 1)}}
    prompt_ids, matrix = reward_matrix(rewards_of(answers), ["c", "b", "a"])
    assert prompt_ids == ["p", "q"]
    np.testing.assert_allclose(matrix, [[11 / 15, 0, 1], [0, NAN, 1]])
    assert matrix.dtype == np.float64


def test_normalise_leaves_invalid_values_out_of_the_range():
    values = np.array([[100.0, 1.0, 3.0, 2.0], [5.0, 5.0, NAN, 5.0]])
    valid = np.array([[False, True, True, True], [True, True, True, False]])
    np.testing.assert_array_equal(
        normalise(values, valid), [[NAN, 0, 1, 0.5], [0.5, 0.5, NAN, NAN]]
    )


def test_invalid_responses_can_lose_to_every_valid_one():
    nan = np.nan
    rewards = np.array([[0.2, nan, 0.0], [nan, nan, nan], [1.0, 0.5, 0.0]])
    np.testing.assert_array_equal(
        fitted_rewards(rewards, "lose"), [[0.2, -1.0, 0.0], [nan, nan, nan], [1.0, 0.5, 0.0]]
    )
    np.testing.assert_array_equal(fitted_rewards(rewards, "leave_out"), rewards)
