"""Models that are loaded answer first, then from the smallest to the largest, unless told not."""

from pathlib import Path

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines import registry
from persyn_kedro.domain.engines.base import Engine, Generation
from persyn_kedro.domain.teachers import order
from persyn_kedro.foundations.settings.engine import EngineSettings
from tests.support.fake_engine import PROMPTS, recipe

SIZES = {"a": 30, "b": 20, "c": 10, "d": 20}


@pytest.mark.parametrize(
    ("how", "stays", "loaded", "expected"),
    [
        ("auto", True, "", "cbda"),
        ("auto", True, "a", "acbd"),
        ("auto", True, "bd", "bdca"),
        ("settings", True, "bd", "abcd"),
        ("auto", False, "", "abcd"),
    ],
)
def test_the_order_of_the_models(
    how: str, stays: bool, loaded: str, expected: str, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Standing(Engine):
        in_child = False

        def generate(self, requests):
            asked.append(self.model.name)
            for request in requests:
                yield Generation(request.key, "yes", "stop", 7, 10)

    Standing.stays = stays
    monkeypatch.setitem(registry.HERE, "transformers", Standing)
    monkeypatch.setattr(order, "is_loaded", lambda engine, _: engine.model.name in loaded)
    pool = [recipe(name, weights=name) for name in SIZES]
    for each in pool:
        each.model.size, each.model.directory = SIZES[each.teacher], Path("nowhere")
    settings = EngineSettings(name="transformers", order=how)
    wanted = dict.fromkeys(SIZES, PROMPTS)
    responses, calls = teachers.answer(wanted, pool, store, settings, 0)
    assert "".join(asked) == expected
    assert calls["teacher"].to_pylist() == list(SIZES)
    assert list(dict.fromkeys(responses["teacher"].to_pylist())) == list(SIZES)
