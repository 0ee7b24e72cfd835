"""From when until when a run's models may stay loaded."""

import pytest
from kedro.pipeline import node

from persyn_kedro.foundations.settings import Needs, Settings, read_settings, step
from persyn_kedro.runs import keeping
from persyn_kedro.runs.keeping import models_kept
from tests.support.settings import SHORTEST


def settings_with(**engine: object) -> Settings:
    return read_settings({**SHORTEST, "engine": engine})


@step(needs=Needs.TEACHERS)
def asks(x):
    return x


@step(needs=Needs.MODEL)
def scores(x):
    return x


@step(needs=Needs.TRAINER | Needs.STUDENT)
def trains(x):
    return x


@step(needs=Needs.ROUTER)
def routes(x):
    return x


@step()
def counts(x):
    return x


@pytest.mark.parametrize(
    ("steps", "wanted", "expected"),
    [
        ([asks, routes, scores, counts], True, "yes yes yes no no"),
        ([counts, asks, counts], True, "yes yes no no"),
        ([asks, trains, asks, counts], True, "yes no yes no no"),
        ([asks, scores], False, "no no no"),
    ],
)
def test_models_stay_until_the_last_step_that_may_need_them(
    steps, wanted: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(keeping, "keep_models", lambda stay: told.append("yes" if stay else "no"))
    nodes = [node(function, f"d{n}", f"d{n + 1}", name=f"n{n}") for n, function in enumerate(steps)]
    with models_kept(nodes, settings_with(keep_loaded=wanted)) as begin:
        for each in nodes:
            begin(each)
    assert " ".join(told) == expected


def test_they_end_with_a_run_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    monkeypatch.setattr(keeping, "keep_models", told.append)
    nodes = [node(asks, "a", "b", name="n")]
    with pytest.raises(KeyboardInterrupt), models_kept(nodes, settings_with()) as begin:
        begin(nodes[0])
        raise KeyboardInterrupt
    assert told == [True, False]
