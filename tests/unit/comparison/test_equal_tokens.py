"""Equal teacher tokens, calibration answers counted, on numbers worked out by hand."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings as tries, strategies as st

from persyn_kedro.domain.comparison.strategies import equal_tokens
from persyn_kedro.domain.comparison.strategies.costs import Calibration
from persyn_kedro.domain.comparison.strategies.equal_tokens import take_equal_tokens, taking_order
from persyn_kedro.domain.comparison.strategies.rules import Choices
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables import schemas

CALIBRATION = ["c0", "c1"]
TRAIN = [f"t{i}" for i in range(6)]
MEANS = {"a": 10, "b": 20}  # completion tokens of each calibration answer: 60 in all
CHOICES: dict[str, Choices] = {
    "persyn": {p: ["a", "b"] for p in [*TRAIN, *CALIBRATION]},
    "random": {p: ["b", "a"] for p in [*TRAIN, *CALIBRATION]},
    "just_a": {p: ["a"] for p in [*TRAIN, *CALIBRATION]},
    "oracle": {p: ["b"] for p in CALIBRATION},
}


def answered(teacher: str, prompt_id: str, tokens: int) -> dict[str, Any]:
    return {
        "teacher": teacher,
        "prompt_id": prompt_id,
        "response_key": f"{teacher}:{prompt_id}",
        "sample_index": 0,
        "completion_tokens": tokens,
        "prompt_tokens": 1,
        "cached_prompt_tokens": None,
        "engine": "vllm",
    }


def calibrated(choices: Mapping[str, Choices], draws: int = 1) -> Calibration:
    rows = [answered(t, p, tokens) for p in CALIBRATION for t, tokens in MEANS.items()]
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    return Calibration(table, choices, list(MEANS), {"random", "just_a"}, draws)


def calibrated_with(row: dict[str, Any]) -> Calibration:
    table = pa.Table.from_pylist([row], schemas.RESPONSES)
    found = calibrated(CHOICES)
    found.rows = [*found.rows, *table.to_pylist()]
    return found


class Teachers:
    """Answer as ``generate_side_by_side`` does, and remember what was asked."""

    def __init__(self, lengths: Mapping[str, int]) -> None:
        self.lengths = lengths  # of answers to train prompts; others are as the mean
        self.rounds: list[Mapping[str, Choices]] = []

    def __call__(
        self, chosen: Mapping[str, Choices]
    ) -> tuple[pa.Table, dict[str, list[dict[str, Any]]]]:
        self.rounds.append(chosen)
        asked = {
            name: [answered(c[0], p, self.lengths.get(p, MEANS[c[0]])) for p, c in own.items()]
            for name, own in chosen.items()
        }
        rows = [{"strategy": name, **row} for name, own in asked.items() for row in own]
        return pa.Table.from_pylist(rows, schemas.STRATEGY_RESPONSES), asked

    @property
    def paid(self) -> set[tuple[str, str]]:
        """Teacher and prompt of what was asked for, beside the calibration answers."""
        return {
            (choice[0], p)
            for chosen in self.rounds
            for own in chosen.values()
            for p, choice in own.items()
            if p in TRAIN
        }


def taken(
    tokens: int | None, lengths: Mapping[str, int] = {}, seed: int = 7
) -> tuple[dict[str, list[str]], dict[str, Any], Teachers]:
    teachers = Teachers(lengths)
    responses, asked, notes = take_equal_tokens(
        teachers, CHOICES, calibrated(CHOICES), tokens, seed
    )
    found = {name: [row["prompt_id"] for row in own] for name, own in asked.items()}
    rows = responses.to_pylist()
    for name, own in found.items():
        assert [r["prompt_id"] for r in rows if r["strategy"] == name] == own
    assert list(dict.fromkeys(r["strategy"] for r in rows)) == list(CHOICES)
    return found, notes, teachers


def test_each_strategy_gets_prompts_until_its_tokens_reach_the_budget() -> None:
    order = taking_order(TRAIN, frozenset(), 7)
    found, notes, teachers = taken(100)
    # PerSyn: 60 for calibration, whose answers are its own for nothing, and four of 10.
    assert sorted(found["persyn"][:2]) == CALIBRATION
    assert found["persyn"][2:] == order[:4]
    # Random pays for all of its answers, but for no others: five of 20.
    assert sorted(found["random"][:2]) == CALIBRATION
    assert found["random"][2:] == order[:3]
    # A teacher known by name: ten of 10 would be paid for, but there are eight prompts.
    assert found["just_a"][2:] == order
    assert notes == {"tokens": 100, "ran_out": ["just_a"]}
    # The oracle takes the calibration answers, as what it is compared with does.
    assert sorted(found["oracle"]) == CALIBRATION
    assert teachers.paid == {("a", p) for p in TRAIN} | {("b", p) for p in order[:3]}


def test_the_answer_that_reaches_the_budget_is_the_last_one() -> None:
    order = taking_order(TRAIN, frozenset(), 7)
    lengths = {order[0]: 25, order[1]: 14, order[2]: 1}
    assert taken(99, lengths)[0]["persyn"][2:] == order[:2]  # 60 + 25 + 14 = 99: no more
    assert taken(100, lengths)[0]["persyn"][2:] == order[:3]  # 99, so one more: 100
    assert taken(101, lengths)[0]["persyn"][2:] == order[:4]  # 100, so one more: 110


def test_the_default_is_what_all_strategies_can_spend_as_calibration_lets_expect() -> None:
    """For all prompts: PerSyn 60 + 6 * 10, random 8 * 20, a alone 8 * 10."""
    found, notes, _ = taken(None)
    assert notes == {"tokens": 80, "ran_out": []}
    assert {name: len(own) for name, own in found.items()} == {
        "persyn": 4, "random": 4, "just_a": 8, "oracle": 2
    }  # fmt: skip


def test_several_answers_to_each_prompt_are_expected_to_take_as_many_tokens() -> None:
    """By default 60 + 6 * 3 * 10 for PerSyn; and not more is asked for than is paid for."""
    teachers = Teachers({})
    found = take_equal_tokens(teachers, CHOICES, calibrated(CHOICES, draws=3), None, 7)
    assert found[2]["tokens"] == 240
    assert len(teachers.rounds[0]["random"]) == 3  # of 60 each: 216 of 240 are asked for at once
    teachers = Teachers({})
    take_equal_tokens(teachers, CHOICES, calibrated(CHOICES), 240, 7)
    assert len(teachers.rounds[0]["random"]) == 8  # of 20 each


@given(
    st.lists(st.integers(0, 60), min_size=6, max_size=6), st.integers(60, 300), st.integers(0, 3)
)
@tries(max_examples=60)
def test_how_many_are_asked_at_once_changes_nothing(
    lengths: list[int], tokens: int, seed: int
) -> None:
    """So that what a store holds, and what is expected, do not count in what is taken."""
    own = dict(zip(TRAIN, lengths, strict=True))
    asked_ahead = equal_tokens.ASKED_AHEAD
    try:
        found = []
        for share in (0.0, 0.9, 5.0):
            equal_tokens.ASKED_AHEAD = share
            found.append(taken(tokens, own, seed))
    finally:
        equal_tokens.ASKED_AHEAD = asked_ahead
    assert found[0][:2] == found[1][:2] == found[2][:2]
    # One by one, nothing is paid for that is not taken.
    one_by_one, _, teachers = found[0]
    used = {(CHOICES[n][p][0], p) for n, own in one_by_one.items() for p in own if p in TRAIN}
    assert teachers.paid == used


def test_the_order_is_the_same_whatever_other_prompts_there_are() -> None:
    some = taking_order([*TRAIN[:3], *CALIBRATION], frozenset(CALIBRATION), 3)
    every = taking_order([*CALIBRATION, *TRAIN[::-1]], frozenset(CALIBRATION), 3)
    assert set(every[:2]) == set(CALIBRATION)
    assert some == [p for p in every if p in some]
    assert every != taking_order([*CALIBRATION, *TRAIN], frozenset(CALIBRATION), 4)


@pytest.mark.parametrize("engine", ["import", "openai"])
def test_answers_whose_tokens_nobody_counted_are_refused(engine: str) -> None:
    """A teacher whose answers were imported would be taken without end, as if it cost nothing."""
    uncounted = {**answered("b", "c9", 0), "engine": engine, "response": "Yes."}
    teachers = Teachers({})
    with pytest.raises(PersynError, match="tokens of b's answers were not counted"):
        take_equal_tokens(teachers, CHOICES, calibrated_with(uncounted), 100, 7)
    assert not teachers.rounds
    for free in ({"engine": None, "response": "", "error": "too long"}, {"response": ""}):
        counted = calibrated_with({**uncounted, **free})
        assert take_equal_tokens(Teachers({}), CHOICES, counted, 100, 7)[2]["tokens"] == 100

    def imported(chosen: Mapping[str, Choices]) -> Any:
        table, asked = Teachers({})(chosen)
        return table, {n: [{**r, "completion_tokens": 0, "response": "Yes."} for r in own]
                       for n, own in asked.items()}  # fmt: skip

    with pytest.raises(PersynError, match="'s answers were not counted"):
        take_equal_tokens(imported, CHOICES, calibrated(CHOICES), 100, 7)


@pytest.mark.parametrize(("tokens", "remedy"), [(59, "raise compare.tokens"), (None, "add train")])
def test_a_budget_below_the_calibration_answers_is_refused_before_anyone_is_asked(
    tokens: int | None, remedy: str
) -> None:
    teachers = Teachers({})
    few = {"persyn": {"c0": ["a", "b"]}, "just_a": {p: ["a"] for p in CALIBRATION}}
    with pytest.raises(PersynError, match=f"calibration answers .* take 60, .*{remedy}"):
        take_equal_tokens(teachers, few, calibrated(few), tokens, 7)
    assert not teachers.rounds
