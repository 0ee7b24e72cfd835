"""What another pool changed, on choices counted by hand."""

import pyarrow as pa

from persyn_kedro.domain.reporting.terminal import pool_change_text
from persyn_kedro.domain.routers.pool_changes import Routed, pool_change
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset

SPLITS = ["calibration", "train", "train", "train", "test", "train"]
PROMPTS = dataset(
    [{"prompt_id": p, "split": s} for p, s in zip("pqrstu", SPLITS, strict=True)], schemas.PROMPTS
)


def routed(choices: str, teachers: str, regret: float | None = None) -> Routed:
    """Return prompts p, q, r … sent to these teachers."""
    table = pa.table({"prompt_id": list("pqrstu")[: len(choices)], "teacher": list(choices)})
    metrics = {"n": 4, "router": {"regret": regret}, "constant": {"regret": 0.25}}
    pool = [{"teacher": t, "weights_id": t, "recipe_id": "r"} for t in teachers]
    return Routed(pool, table, None if regret is None else metrics)


def test_moves_calls_and_regret_of_an_added_teacher() -> None:
    calls = {
        "label": [{"teacher": "c", "calls": 1, "cost": 2.0}],
        "generate": [{"teacher": "c", "calls": 2}, {"teacher": "a", "seconds": 1.0}],
    }
    change = pool_change(routed("aabab", "ab", 0.5), routed("accbc", "abc", 0.125), PROMPTS, calls)
    assert change["difference"] == "'c' was added"
    assert change["prompts"] == 4  # s is a test prompt, u was never routed
    moves = [{"from": "a", "to": "b", "prompts": 1}, {"from": "a", "to": "c", "prompts": 1},
             {"from": "b", "to": "c", "prompts": 1}]  # fmt: skip
    assert change["moves"] == moves
    assert [list(row.values()) for row in change["teachers"]] == [
        ["a", 3, 1, 0, 0],
        ["b", 1, 1, 0, 0],
        ["c", 0, 2, 1, 2],
    ]
    told = " ".join(pool_change_text(change).split())
    assert "The pool of teachers changed: 'c' was added." in told
    assert (
        "3 of 4 prompts have a different teacher than before: 1 from a to b, 1 from a to c" in told
    )
    assert (
        "was 0.500 (n = 4; 0.250 when always choosing the best teacher) and is now 0.125 (n = 4"
        in told
    )


def test_a_removed_teacher_and_what_could_not_be_measured() -> None:
    change = pool_change(routed("abc", "abc"), routed("aaa", "ab", 0.5), PROMPTS, {})
    assert change["difference"] == "'c' was removed"
    assert [(r["teacher"], r["before"], r["now"]) for r in change["teachers"]] == [
        ("a", 1, 3), ("b", 1, 0), ("c", 1, 0),
    ]  # fmt: skip
    assert change["router"]["before"] is None
    assert "regret" not in pool_change_text(change)
