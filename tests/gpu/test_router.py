"""A language model router learns its prompts on a device, and is read back from its files."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from persyn_kedro.domain.routers.jobs import fit_router_job, score_prompts_job
from persyn_kedro.domain.routers.registry import load_router
from persyn_kedro.foundations.models import load
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from tests.support.router_cases import POOL, PROMPTS, REWARDS

SETTINGS = TrainRouterSettings(epochs=20, batch_size=4, learning_rate=3e-3, head_learning_rate=1e-2)


@pytest.mark.parametrize("tuning", ["full", "lora", "head_only"])
def test_a_router_learns_and_is_read_back(
    device: str, float32_model: ResolvedModel, tuning: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = TrainRouterSettings(**{**SETTINGS.model_dump(), "tuning": tuning})

    def fit(name: str) -> Iterator[dict[str, Any]]:
        return fit_router_job(PROMPTS, REWARDS, settings, float32_model, 0, POOL, tmp_path / name)

    losses = [epoch["loss"] for epoch in fit("here")]
    assert len(losses) == 20 and losses[-1] < (0.95 if tuning == "head_only" else 0.5) * losses[0]
    scores = load_router(tmp_path / "here", POOL).predict_scores(PROMPTS)
    again = np.concatenate(list(score_prompts_job(PROMPTS, tmp_path / "here", POOL, 1)))
    np.testing.assert_allclose(again, scores, atol=1e-3)
    monkeypatch.setattr(load, "device", lambda: "cpu")
    by_cpu_too = [epoch["loss"] for epoch in islice(fit("cpu"), 3)]
    assert losses[:3] == pytest.approx(by_cpu_too, abs=1e-3)
    by_cpu = np.concatenate(list(score_prompts_job(PROMPTS, tmp_path / "here", POOL, 2)))
    np.testing.assert_allclose(by_cpu, scores, atol=1e-3)
