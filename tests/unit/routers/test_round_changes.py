"""What a round changed, on tables worked out by hand."""

import pyarrow as pa

from persyn_kedro.domain.reporting.page import rounds_page
from persyn_kedro.domain.reporting.terminal import rounds_text
from persyn_kedro.domain.routers.round_changes import Round, round_change
from persyn_kedro.domain.student.evaluate import accuracy_summary
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset

TEACHERS = ["a", "b"]
PROMPTS = dataset(
    [
        {"prompt_id": p, "split": s}
        for p, s in zip("pqrst", ["calibration"] * 3 + ["train", "test"], strict=True)
    ],
    schemas.PROMPTS,
)


def round_of(rewards: dict[str, list], learnability: dict[str, list], choices: str) -> Round:
    """Return a round by rewards and learnability, (a, b) of each prompt, and a teacher each."""
    rows = [
        {
            "prompt_id": p,
            "teacher": t,
            "reward": r,
            "valid": r is not None,
            "learnability": learned,
        }
        for p in rewards
        for t, r, learned in zip(TEACHERS, rewards[p], learnability[p], strict=True)
    ]
    sent = [{"prompt_id": p, "teacher": t} for p, t in zip("pqrst", choices, strict=True)]
    regret = {name: {"regret": 0.25} for name in ("router", "constant")}
    return Round(
        dataset(sent, schemas.ASSIGNMENTS), dataset(rows, schemas.REWARDS), {"n": 4, **regret}
    )


BEFORE = round_of(
    {"p": [1.0, 0.0], "q": [0.5, 0.5], "r": [0.2, None]},
    {"p": [-1.0, -3.0], "q": [-2.0, None], "r": [-9.0, -9.0]},
    "aabbb",
)
NOW = round_of(
    {"p": [0.0, 1.0], "q": [0.9, 0.1], "r": [0.2, 0.3]},
    {"p": [-0.5, -1.0], "q": [-1.5, -4.0], "r": [None, -5.0]},
    "baaba",
)
CALLS = pa.Table.from_pylist([{"teacher": "b", "calls": 2, "completion_tokens": 50}], schemas.CALLS)


def test_moves_are_counted_over_what_both_rounds_know() -> None:
    found = round_change(BEFORE, NOW, PROMPTS, CALLS, TEACHERS)
    # p and q have two valid teachers in both rounds; a tie goes to the first
    assert found["best"] == {"n": 2, "same": 1, "moves": [{"from": "a", "to": "b", "prompts": 1}]}
    # the test prompt t is not counted: p moved to b, r to a
    assert found["routed"]["n"] == 4 and found["routed"]["same"] == 2
    assert found["routed"]["moves"] == [
        {"from": "a", "to": "b", "prompts": 1},
        {"from": "b", "to": "a", "prompts": 1},
    ]
    a, b = found["teachers"]
    assert a["learnability"] == [-1.5, -1.0]  # p and q alone have both
    assert b["learnability"] == [-6.0, -3.0]  # p and r
    assert (a["best"], b["best"]) == ([2, 1], [0, 2])
    assert (a["routed"], b["routed"]) == ([2, 2], [2, 2])
    assert (b["calls"], b["tokens"], a["calls"]) == (2, 50, 0)
    assert found["router"]["now"] == {"n": 4, "router": 0.25, "constant": 0.25}


def test_the_page_and_the_terminal_say_the_same() -> None:
    focus = dict.fromkeys(("solved", "off_frontier", "later_round", "asked"), 0)
    summary = {
        **round_change(BEFORE, NOW, PROMPTS, CALLS, TEACHERS),
        "focus": {**focus, "kept": 9, "earlier_round": 12},
        "accuracy": accuracy_summary([0.0, 1.0], [1.0, 1.0], 0.95),
        "rounds": [{"accuracy": 0.5}, {"accuracy": 1.0}],
    }
    page, text = rounds_page(summary), " ".join(rounds_text(summary).split())
    for sentence in (
        "from 50.0 % to 100.0 % in this round, on 2 prompts: +50.0 [",
        "Of 2 calibration prompts, 1 have another best teacher",
        "the router sends 2 of 4 calibration and train prompts to another teacher",
        "Prompts of this round: 9. Prompts without an answer: 12 were used by an earlier round.",
    ):
        assert sentence in page and sentence in text
    assert "<h1>Round 2 of training</h1>" in page
