"""``kedro fetch-models``: every model that the settings use, each once."""

from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from persyn_kedro.cli import upkeep
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.settings.read import read_settings
from tests.support.settings import SHORTEST

RAW: dict[str, Any] = {
    **SHORTEST,
    "models": {
        name: {"random": "chat", "random_seed": i}
        for i, name in enumerate(["big", "small", "backbone", "judge", "recipe", "unused"])
    },
    "teachers": {"x": {"model": "big"}, "y": {"model": "small"}},
    "student": {"model": "small"},
    "train_router": {"backbone": "backbone"},
    "label": {"quality": {"kind": "reward_model", "model": "judge"}},
}


@pytest.mark.parametrize(
    ("recipe", "fetched"),
    [
        ({"model": "recipe"}, ["backbone", "big", "judge", "recipe", "small"]),
        ({}, ["backbone", "big", "judge", "small"]),  # its default is none of these models
    ],
)
def test_every_model_that_the_settings_use_is_fetched_once(
    recipe: dict[str, str], fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(name: str, settings: object) -> Any:
        asked.append(name)
        return SimpleNamespace(name=name, weights_id="w")

    raw = {**RAW, "train_reward_model": recipe}
    monkeypatch.setattr(upkeep, "open_project", lambda env: (read_settings(raw), None))
    monkeypatch.setattr(weights, "resolve_model", resolve)
    done = CliRunner().invoke(upkeep.cli, ["fetch-models"])
    assert done.exit_code == 0, done.output
    assert sorted(asked) == fetched
    assert sorted(done.output.splitlines()) == [f"{name}: w" for name in fetched]
