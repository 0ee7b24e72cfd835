"""Balanced designs: how many of whom, whatever the prompts; and what a table notes of them."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.designs.asked import (
    Asked,
    asked_of,
    of_random_ones,
    unanswered,
    with_asked,
)
from persyn_kedro.domain.designs.balanced import balanced, check_design, check_each_is_asked
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.design import AdaptiveSettings, DesignSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.read import read_group
from persyn_kedro.foundations.settings.teachers import Teachers

SEEDS = st.integers(0, 2**32 - 1)


def ids(count: int) -> list[str]:
    return [f"p{i}" for i in range(count)]


@given(st.integers(1, 40), st.integers(2, 7), st.integers(2, 7), SEEDS)
@settings(deadline=None)
def test_each_prompt_has_m_teachers_and_each_teacher_its_share(n, k, m, seed) -> None:
    teachers = [f"t{i}" for i in range(k)]
    asked = balanced(ids(n), teachers, m, seed)
    assert (asked.sum(axis=1) == min(m, k)).all()
    loads = asked.sum(axis=0)
    assert loads.max() - loads.min() <= (1 if m < k else 0)
    backwards = balanced(ids(n)[::-1], teachers, m, seed)[::-1]
    np.testing.assert_array_equal(asked, backwards)


@pytest.mark.parametrize(("k", "m"), [(5, 2), (6, 3), (4, 2)])
def test_pairs_of_teachers_share_as_many_prompts_as_each_other(k, m) -> None:
    asked = balanced(ids(300), [f"t{i}" for i in range(k)], m, 7)
    shared = [int((asked[:, a] & asked[:, b]).sum()) for a, b in combinations(range(k), 2)]
    expected = 300 * m * (m - 1) / (k * (k - 1))
    assert max(abs(count - expected) for count in shared) <= 0.1 * expected


def test_whom_a_prompt_is_asked_of_is_random_and_hangs_on_the_seed() -> None:
    teachers, one = ["a", "b", "c", "d"], [f"p{i}" for i in range(9)]
    drawn = np.array([balanced(one, teachers, 2, seed)[0] for seed in range(400)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.08)  # three standard errors


def pool(count: int) -> Teachers:
    return Teachers({f"t{i}": {"model": "m"} for i in range(count)})


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            {"design": {"teachers_per_prompt": 2}},
            "label.design asks only some of the teachers of each prompt, so label.normalise must "
            "be pool_z or pool_rank, not prompt_minmax, whose scale would depend on who was asked.",
        ),
        (
            {"design": {"teachers_per_prompt": 4}, "normalise": "pool_z"},
            "label.design.teachers_per_prompt is 4, but there are only 3 teachers.",
        ),
        (
            {"design": {"adaptive": {"first": 4}}, "normalise": "pool_rank"},
            "label.design.adaptive.first is 4, but there are only 3 teachers.",
        ),
        ({"design": "full"}, None),
        ({"design": {"teachers_per_prompt": 3}, "normalise": "pool_rank"}, None),
        (  # all are asked, so it is known which prompts no teacher solves
            {
                "design": {"teachers_per_prompt": 3},
                "normalise": "pool_z",
                "unsolved": "leave_out",
            },
            None,
        ),
    ],
)
def test_a_design_that_cannot_be_is_refused_in_a_sentence(label, said) -> None:
    settings = read_group("label", label)
    if said is None:
        check_design(pool(3), settings)
        return
    with pytest.raises(PersynError) as error:
        check_design(pool(3), settings)
    assert str(error.value) == said


@pytest.mark.parametrize("design", [{"teachers_per_prompt": 2}, {"adaptive": {"first": 2}}])
def test_what_no_teacher_solves_is_not_known_if_only_some_are_asked(design) -> None:
    label = {"design": design, "normalise": "pool_z", "unsolved": "leave_out"}
    with pytest.raises(PersynError, match="unsolved is leave_out, but label.design asks only some"):
        check_design(pool(3), read_group("label", label))
    check_design(pool(3), read_group("label", {**label, "unsolved": "keep"}))


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ("some", "must be full, {teachers_per_prompt: …} or {adaptive: {…}} (it is 'some')"),
        ({"teachers_per_prompt": 1}, "label.design.teachers_per_prompt: "),
        (
            {"teachers_per_prompt": 2, "adaptive": {}},
            "label.design: set either teachers_per_prompt or adaptive",
        ),
        ({"adaptive": {"first": 1}}, "label.design.adaptive.first: "),
    ],
)
def test_a_misspelt_design_is_named(design, said) -> None:
    with pytest.raises(PersynError) as error:
        read_group("label", {"design": design})
    assert said in str(error.value)


def test_a_full_design_is_in_no_record() -> None:
    full = read_group("label", {"design": "full"})
    assert full == LabelSettings() and "design" not in lasting(full)
    some = read_group("label", {"design": {"teachers_per_prompt": 2}})
    assert lasting(some)["design"] == {"teachers_per_prompt": 2, "adaptive": None}
    assert DesignSettings(adaptive=AdaptiveSettings()).at_random == 2


def test_too_few_prompts_for_a_teacher_are_refused() -> None:
    asked = balanced(["p"], ["a", "b", "c"], 2, 0)
    with pytest.raises(PersynError, match=r"asks teacher '[abc]' nothing: there are too few"):
        check_each_is_asked(asked, ["a", "b", "c"])


def test_a_table_notes_what_was_asked_and_at_random() -> None:
    teachers, prompts = ["a", "b", "c"], ids(6)
    first = balanced(prompts, teachers, 2, 3)
    rows = [{"prompt_id": p, "teacher": t} for p in prompts for t in teachers]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({b"unsettled": b"1"})
    asked = Asked(teachers, 2, 3, {"batches": 1})
    noted = with_asked(table, asked)
    assert asked_of(noted.schema) == asked and noted.schema.metadata[b"unsettled"] == b"1"
    kept = of_random_ones(noted, asked_of(noted.schema)).to_pylist()
    assert kept == [r for r, own in zip(rows, first.ravel(), strict=True) if own]
    assert of_random_ones(table, None) is table  # all of a full or balanced one
    assert of_random_ones(table, Asked(teachers, 2, 3)) is table
    assert with_asked(table, None) is table


def test_what_was_not_answered_by_hand() -> None:
    pairs = pa.table({"prompt_id": ["a", "b", "b", "x", "b"], "teacher": ["t", "t", "u", "u", "u"]})
    found = unanswered(pairs, pa.chunked_array([["b"], ["a"]]), ["t", "u", "v"])
    assert found.tolist() == [[False, False, True], [False, True, True]]


def test_random_answers_are_those_of_all_prompts_where_one_has_no_row() -> None:
    """Who is asked at random depends on all calibration prompts, not on those with a row."""
    ids, names = [f"p{i:02}" for i in range(40)], list("abcd")
    note, first = Asked(names, 2, 3, {"batches": 1}), balanced(ids, names, 2, 3)
    there = [i for i in range(40) if i % 7]
    rows = [{"prompt_id": ids[i], "teacher": t, "k": k} for i in there for k, t in enumerate(names)]
    found = of_random_ones(pa.Table.from_pylist(rows), note, ids).to_pylist()
    assert {(r["prompt_id"], r["k"]) for r in found} == {
        (ids[i], k) for i in there for k in np.flatnonzero(first[i]).tolist()
    }
