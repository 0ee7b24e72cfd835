"""Small trainings of a student and of a router, and whether two of them came to the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import SftSettings

# In batches of 3, the last of an epoch has one row: one of two ranks gets none.
ROWS = [{"prompt": f"{i} times?", "response": f"{i}, " * (i + 1)} for i in range(7)]
SETTINGS = SftSettings(
    epochs=2, batch_size=3, gradient_accumulation=2, learning_rate=5e-3, precision="float32"
)
ROUTER = TrainRouterSettings(
    epochs=3, batch_size=4, learning_rate=3e-3, head_learning_rate=1e-2, invalid="leave_out"
)
PROMPTS = [f"{'and so on ' * i}number {i}" for i in range(9)]
REWARDS = np.random.default_rng(0).random((9, 3))
REWARDS[1, 2] = REWARDS[4, 0] = np.nan
POOL = [{"teacher": name, "weights_id": f"w{name}", "recipe_id": f"r{name}"} for name in "abc"]


def tiny_student(directory: Path) -> ResolvedModel:
    make_random_model(directory, "chat", 5)
    settings = ModelSettings(random="chat", dtype="float32")
    return ResolvedModel("tiny", directory, "random:chat", settings)


def made(directory: Path, items: list[dict[str, Any]]) -> Path:
    (directory / "curve").write_text(json.dumps([item for item in items if "loss" in item]))
    return directory


def same_curve(items: list[dict[str, Any]], wanted: Path) -> None:
    curve, expected = (
        [i for i in c if "loss" in i] for c in (items, json.loads((wanted / "curve").read_text()))
    )
    assert len(curve) > 2
    assert curve == [pytest.approx(item, abs=1e-5) for item in expected]


def same_files(found: Path, wanted: Path) -> None:
    """The same files, the same texts, and weights that differ by rounding."""
    names = sorted(path.name for path in wanted.iterdir())
    assert sorted(path.name for path in found.iterdir()) == names
    for name in names:
        if name.endswith(".json"):
            assert (found / name).read_text() == (wanted / name).read_text()
        elif name.endswith(".safetensors"):
            weights, expected = load_file(found / name), load_file(wanted / name)
            assert weights.keys() == expected.keys()
            for key, tensor in weights.items():
                assert (tensor - expected[key]).abs().max() < 2e-4, (name, key)
