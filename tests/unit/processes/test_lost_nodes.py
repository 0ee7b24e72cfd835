"""Whether a training ended because a node died, by what Ray says of its nodes."""

from typing import Any

import pytest

from persyn_kedro.foundations.processes.ray import training

ray = pytest.importorskip("ray")

HEAD = {"NodeID": "head", "Alive": True}
OLD = {"NodeID": "old", "Alive": False}  # died before


def second(alive: bool) -> dict[str, Any]:
    return {"NodeID": "second", "Alive": alive}


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ([HEAD, OLD, second(True)], [HEAD, OLD, second(False)], True),
        ([HEAD, OLD], [HEAD, OLD, second(False)], True),  # it joined while Ray waited for room
        ([HEAD, OLD], [HEAD, OLD, second(True)], False),
        ([HEAD, OLD], [HEAD, OLD], False),
    ],
)
def test_a_node_is_lost_if_another_one_is_dead_than_before(
    before: list[Any], after: list[Any], lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "DEATH_SECONDS", 0.0)
    monkeypatch.setattr(ray, "nodes", lambda: before)
    dead = training._dead()
    monkeypatch.setattr(ray, "nodes", lambda: after)
    assert training._lost_a_node(dead) == lost
