"""A language model as judge: what it is asked, how it is read, and what its verdicts are worth."""

import json
import math
from pathlib import Path

import pyarrow as pa
import pytest

from persyn_kedro.domain.quality.first_that_can import FirstThatCan
from persyn_kedro.domain.quality.judge.note import judged_of, length_correlation
from persyn_kedro.domain.reporting.notes import judge_notes
from persyn_kedro.foundations.tables.schemas import QUALITY, unsettled_rows
from tests.support.scripted_judge import (
    answers,
    answers_of,
    judge_of,
    qualities,
    quality_table,
    verdict,
)

HOT = {"temperature": 0.7}


def test_each_answer_gets_the_mean_of_its_scores_and_is_paid_for_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = iter([2, 5, 7, 8])
    script, judge = judge_of(
        monkeypatch, tmp_path, lambda *_: verdict(score=next(scores)), samples=2, sampling=HOT,
        price=10.0, prompt_price=2.0,
    )  # fmt: skip
    own = answers("four", "five", "four")
    for _ in range(2):  # then from the store of responses
        assert qualities(judge, own, tmp_path) == [3.5, 7.5, 3.5]
    assert len(script.requests) == 4
    used = {name: judge.told[name] for name in ("calls", "prompt_tokens", "completion_tokens")}
    assert used == {"calls": 8, "prompt_tokens": 40, "completion_tokens": 56}  # of both times
    (note,) = judged_of(judge.noted(quality_table([3.5, 7.5, 3.5]), own).schema)
    assert note.counts["cost"] == pytest.approx((40 * 2 + 56 * 10) / 1e6)
    assert len({request.seed for request in script.requests}) == 4
    assert script.requests[0].system is None


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (verdict(score=7), 7.0),
        ('```json\n{"reason": "a {brace} and \\"quotes\\"", "score": "7/10"}\n```', 7.0),
        ('{"reason": "he said "no" twice", "score": 6}', 6.0),
        ("Reason: fine.\n**Score:** 8", 8.0),
        ('<think>score: 1</think>{"reason": "", "score": 9.5}', 9.5),
        (f"{verdict(score=4)}\n{verdict(score=4)}", 4.0),
        (f"It says {verdict(score=10)}. {verdict(score=2)}", None),
        (verdict(score=11), None),
        (verdict(score=True), None),
        (verdict(score=None), None),
        (verdict(score="good"), None),
        (verdict(score=10**400), None),
        ('{"reason": "cut off', None),
        ("7", None),
        ("", None),
    ],
)
def test_what_is_unreadable_is_unknown(
    reply: str, score: float | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, judge = judge_of(monkeypatch, tmp_path, lambda *_: reply)
    own = answers("four")
    assert qualities(judge, own, tmp_path) == [score]
    table = judge.noted(quality_table([score]), own)
    (note,) = judged_of(table.schema)
    used = {"calls": 1, "prompt_tokens": 5, "completion_tokens": 7, "cost": 0.0}
    assert note.counts == {"replies": 1, "failed": 0, "unreadable": score is None, **used}
    assert note.unknown == (score is None)
    assert unsettled_rows(table.schema) == 0


def test_a_failed_call_is_unknown_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, judge = judge_of(monkeypatch, tmp_path, lambda shown, _: None if "a" in shown else
                        verdict(score=3))  # fmt: skip
    own = answers(*"abcd")
    assert qualities(judge, own, tmp_path) == [None, 3, 3, 3]
    table = judge.noted(quality_table([None, 3, 3, 3]), own)
    assert unsettled_rows(table.schema) == 1
    _, judge = judge_of(monkeypatch, tmp_path, lambda *_: verdict(score=9))
    assert qualities(judge, own, tmp_path) == [9, 3, 3, 3]


def test_pairs_in_both_orders_give_bradley_terry_strengths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of two answers, the better wins both times: 2.5 wins to 0.5, so strengths differ by log 5."""

    def say(shown: list[str], _: int) -> str:
        return verdict(better=1 + (shown[1] > shown[0]))

    script, judge = judge_of(monkeypatch, tmp_path, say, mode="pairwise")
    own = answers("a", "b")
    half = math.log(5) / 2
    assert qualities(judge, own, tmp_path) == pytest.approx([-half, half])
    assert {tuple(answers_of(str(r.prompt))) for r in script.requests} == {("a", "b"), ("b", "a")}
    found = qualities(judge, answers(*"abc", prompt="q"), tmp_path)
    assert found == sorted(found)
    assert sum(found) == pytest.approx(0)
    assert judge.told["pairs"] == 4
    assert judge.told["by_position"] == 0


def test_strengths_are_those_of_greatest_likelihood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Against scipy's maximum: sum of wins times log sigma(s_i - s_j), a tie added to each pair."""
    import numpy as np
    from scipy.optimize import minimize

    beaten = {("a", "b"): 1, ("b", "a"): 1, ("a", "c"): 1, ("c", "a"): 2, ("b", "c"): 0,
              ("c", "b"): 1}  # fmt: skip
    _, judge = judge_of(
        monkeypatch, tmp_path, lambda shown, _: verdict(better=beaten[tuple(shown)]),
        mode="pairwise",
    )  # fmt: skip
    wins = np.full((3, 3), 0.5)
    for (first, second), better in beaten.items():
        i, j = "abc".index(first), "abc".index(second)
        wins[i, j] += {0: 0.5, 1: 1, 2: 0}[better]
        wins[j, i] += {0: 0.5, 1: 0, 2: 1}[better]

    def loss(s: np.ndarray) -> float:
        less = np.log1p(np.exp(-(s[:, None] - s[None, :])))
        return float((wins * less)[~np.eye(3, dtype=bool)].sum() + s.sum() ** 2)

    best = minimize(loss, np.zeros(3), tol=1e-10).x
    assert qualities(judge, answers(*"abc"), tmp_path) == pytest.approx(best.tolist(), abs=1e-4)
    assert (judge.told["pairs"], judge.told["by_position"], judge.told["by_first"]) == (3, 1, 1)


def test_verdicts_that_follow_the_position_are_ties_and_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, judge = judge_of(monkeypatch, tmp_path, lambda *_: verdict(better=2), mode="pairwise")
    assert qualities(judge, answers(*"abc"), tmp_path) == pytest.approx([0, 0, 0])
    assert (judge.told["pairs"], judge.told["by_position"], judge.told["by_first"]) == (3, 3, 0)


def test_an_answer_in_no_readable_pair_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def say(shown: list[str], _: int) -> str:
        return "?" if "c" in shown else verdict(better=0)

    _, judge = judge_of(monkeypatch, tmp_path, say, mode="pairwise")
    assert qualities(judge, answers(*"abc"), tmp_path) == [0, 0, None]


def test_a_list_is_shuffled_anew_for_each_reply_and_its_ranks_are_averaged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def say(shown: list[str], number: int) -> str:
        ranking = sorted(range(1, 5), key=lambda place: shown[place - 1])
        return verdict(ranking=ranking if number else [1, 1, 2, 3])

    script, judge = judge_of(monkeypatch, tmp_path, say, mode="listwise", samples=5)
    assert qualities(judge, answers(*"dcba"), tmp_path) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    orders = [tuple(answers_of(str(r.prompt))) for r in script.requests]
    assert len(set(orders)) > 1
    assert {tuple(sorted(order)) for order in orders} == {tuple("abcd")}
    assert judge.told["unreadable"] == 1
    assert judge.told["lists"] == 4


def test_what_chance_would_rank_first_is_the_mean_over_the_lists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of two answers half, of eight an eighth: not one in five, the mean number of answers."""

    def say(shown: list[str], _: int) -> str:
        return verdict(ranking=list(range(1, len(shown) + 1)))

    _, judge = judge_of(monkeypatch, tmp_path, say, mode="listwise")
    own = [*answers(*"ab"), *answers(*"abcdefgh", prompt="q")]
    found = qualities(judge, own, tmp_path)
    table = judge.noted(quality_table(found), own)
    assert "is ranked best (31 % by chance)" in judge_notes(table)[-1]


@pytest.mark.parametrize(("mode", "tie"), [("pairwise", 0.0), ("listwise", 0.5)])
def test_what_cannot_be_compared_is_unknown_and_equal_texts_are_a_tie(
    mode: str, tie: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, judge = judge_of(monkeypatch, tmp_path, lambda *_: "", mode=mode)
    assert qualities(judge, answers("a"), tmp_path) == [None]
    assert qualities(judge, answers("a", "a"), tmp_path) == [tie, tie]
    assert script.requests == []


def test_verbosity_is_the_mean_correlation_within_prompts() -> None:
    """By hand: ranks agree (1), are opposite (-1), agree but for one swap (0.5); a tie has none."""
    rows = [
        *(("p", quality, length) for quality, length in ((1.0, 10), (2.0, 20), (3.0, 30))),
        *(("q", quality, length) for quality, length in ((3.0, 10), (2.0, 20))),
        *(("r", quality, length) for quality, length in ((1.0, 10), (3.0, 20), (2.0, 30))),
        *(("s", 5.0, length) for length in (1, 2)),
        ("q", None, 99),
    ]
    assert length_correlation(rows) == (pytest.approx(0.5 / 3), 3)
    assert length_correlation([]) == (None, 0)


def test_a_schema_of_the_reply_is_sent_and_is_part_of_the_identity(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelves = []
    for structured in (False, True):
        script, judge = judge_of(
            monkeypatch, tmp_path, lambda *_: verdict(score=3), structured=structured
        )
        assert qualities(judge, answers("a"), tmp_path) == [3]
        (request,) = script.requests  # not the store's: another recipe
        shelves.append(judge.identity["recipe_id"])
    schema = json.loads(request.reply_schema)
    assert schema["required"] == ["reason", "score"]
    assert schema["properties"]["score"] == {"type": "number", "minimum": 1, "maximum": 10}
    assert shelves[0] != shelves[1]


def test_a_judge_that_needs_no_call_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Equal answers have no pairs: the report still tells this judge's use from another's."""
    script, judge = judge_of(monkeypatch, tmp_path, lambda *_: "", mode="pairwise")
    own = answers("same", "same")
    assert qualities(judge, own, tmp_path) == [0.0, 0.0]
    (note,) = judged_of(judge.noted(quality_table([0.0, 0.0]), own).schema)
    assert note.counts == dict.fromkeys(("calls", "prompt_tokens", "completion_tokens", "cost"), 0)
    assert not script.requests


def test_of_two_judges_that_share_the_prompts_both_are_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, one = judge_of(monkeypatch, tmp_path, lambda *_: "", rubric="correctness")
    _, two = judge_of(monkeypatch, tmp_path, lambda *_: "")
    own = [*answers("four", reference="4"), *answers("long", "short", prompt="q")]
    both = FirstThatCan((one, two))
    rows = [{"prompt_id": answer.prompt["prompt_id"], "quality": None} for answer in own]
    table = both.noted(pa.Table.from_pylist(rows, QUALITY), own)
    assert [(note.rubric, note.answers) for note in judged_of(table.schema)] == [
        ("correctness", 1), ("instruction_following", 2),
    ]  # fmt: skip
    one.told["unsettled"], two.told["unsettled"] = 1, 2
    assert unsettled_rows(both.noted(table, own).schema) == 3
