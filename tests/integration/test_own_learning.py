"""Whether more calibration would pay the trained router: a curve of prompts of known kinds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.router_comparison import (
    cross_fitting,
    fitting,
    held_out,
    own_curve,
    own_learning,
)
from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job, score_prompts_job
from persyn_kedro.domain.routers.saving import DESCRIPTION, SELECTION
from persyn_kedro.domain.stores.tables import RoutingStore
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.spending import Prices
from persyn_kedro.foundations.tables import schemas
from tests.support.router_cases import POOL

TEXTS = {f"{i:032x}": f"{('add', 'sort', 'translate')[i % 3]} number {i}" for i in range(120)}
PRICES = dict.fromkeys("abc", Prices(2.0, 1.0))
RESPONSES = pa.Table.from_pylist(
    [
        {"prompt_id": p, "teacher": t, "prompt_tokens": 10, "completion_tokens": 5}
        for p in TEXTS
        for t in "abc"
    ],
    schemas.RESPONSES,
)


def rewards(noise: float) -> pa.Table:
    """Return rewards of which each kind of prompt has a best teacher, but for noise."""
    random = np.random.default_rng(5)
    means = np.eye(3)[np.arange(len(TEXTS)) % 3] * 0.3
    values = means + random.normal(0, noise, means.shape)
    rows = [
        {"prompt_id": p, "teacher": t, "reward": float(r), "valid": True}
        for p, row in zip(TEXTS, values, strict=True)
        for t, r in zip("abc", row, strict=True)
    ]
    return pa.Table.from_pylist(rows, schemas.REWARDS)


@pytest.fixture
def measure(tiny: Any, fake_embedding: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(cross_fitting, "readers_of", lambda models, settings: tiny)
    monkeypatch.setattr(fitting, "run_in_child", lambda job, work, label: job(work))

    def measured(directory: Path, table: pa.Table) -> dict[str, Any] | None:
        store = RoutingStore(tmp_path / "store")
        return own_learning(directory, TEXTS, table, RESPONSES, PRICES, Models({}), 7, store)

    return measured


def described(directory: Path, settings: TrainRouterSettings) -> Path:
    directory.mkdir()
    text = json.dumps({"kind": settings.kind, "settings": settings.model_dump(mode="json")})
    (directory / DESCRIPTION).write_text(text)
    return directory


def test_the_regret_falls_with_the_prompts_and_their_price_is_said(
    measure: Any, tiny: Any, tmp_path: Path
) -> None:
    settings, table = TrainRouterSettings(kind="knn", neighbours=40), rewards(0.6)
    matrix = np.array(table["reward"].to_pylist()).reshape(-1, 3)
    saved = tmp_path / "router"
    list(fit_router_job(list(TEXTS.values()), matrix, settings, tiny, 0, POOL, saved))
    found = measure(saved, table)
    assert found["kind"] == "knn"
    fitted_on = [each["fitted_on"] for each in found["curve"]]
    assert fitted_on == pytest.approx([24, 48, 96], abs=1)  # of five folds, four
    regrets = [each["regret"]["value"] for each in found["curve"]]
    assert regrets[0] > regrets[-1] > 0  # 24 prompts have fewer than 40 neighbours of a kind
    assert found["doubling"].startswith(  # 360 answers of 15 tokens, 10 of them at 1, 5 at 2
        "Twice the calibration prompts (360 more answers, 5400 tokens, cost 0.01) are expected to "
        "save the knn router "
    )
    assert measure(saved, table) == found


def test_auto_is_measured_by_the_best_candidate_that_the_constant_beat(
    measure: Any, tmp_path: Path
) -> None:
    auto = TrainRouterSettings(kind="auto", candidates={"near": {"kind": "knn"}, "line": {
        "kind": "linear"}})  # fmt: skip
    regrets = {"constant": 0.1, "near": 0.3, "line": 0.2}
    candidates = {name: {"regret": {"value": value}} for name, value in regrets.items()}
    for chosen, kind in (("constant", "linear"), ("near", "knn")):
        saved = described(tmp_path / chosen, auto)
        (saved / SELECTION).write_text(json.dumps({"chosen": chosen, "candidates": candidates}))
        assert measure(saved, rewards(0.1))["kind"] == kind


@pytest.mark.parametrize("kind", ["language_model", "constant", "mine.py:Router"])
def test_what_takes_hours_or_learns_nothing_is_left_out(
    kind: str, measure: Any, tmp_path: Path
) -> None:
    saved = described(tmp_path / "router", TrainRouterSettings(kind=kind))
    assert measure(saved, rewards(0.1)) is None


def test_shares_of_the_same_size_make_no_curve(
    measure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few prompts: what is said of twice as many would be said of nothing."""
    monkeypatch.setattr(own_curve, "SIZES", [0.999, 1.0])
    saved = described(tmp_path / "router", TrainRouterSettings(kind="knn"))
    assert measure(saved, rewards(0.1)) is None


def test_rewards_that_are_all_equal_make_none_either(measure: Any, tmp_path: Path) -> None:
    saved = described(tmp_path / "router", TrainRouterSettings(kind="knn"))
    table = rewards(0.1)
    equal = table.set_column(
        table.schema.get_field_index("reward"), "reward", pa.array([0.5] * len(table))
    )
    assert measure(saved, equal) is None


def test_the_model_is_loaded_once_for_the_held_out_prompts_and_the_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    backbone = resolve_model("tiny", ModelSettings(random="chat"))
    loaded: list[str] = []
    load = embeddings.load_backbone

    def counted(model: ResolvedModel) -> Any:
        loaded.append(model.name)
        return load(model)

    settings, table = TrainRouterSettings(kind="knn", neighbours=5), rewards(0.6)
    matrix = np.array(table["reward"].to_pylist()).reshape(-1, 3)
    saved, texts = tmp_path / "router", list(TEXTS.values())
    list(fit_router_job(texts, matrix, settings, backbone, 0, POOL, saved))
    (alone,) = score_prompts_job(texts[:20], saved, POOL, 20)
    monkeypatch.setattr(embeddings, "load_backbone", counted)
    monkeypatch.setattr(embeddings, "_loaded", None)
    monkeypatch.setattr(cross_fitting, "readers_of", lambda *_: backbone)
    monkeypatch.setattr(held_out, "run_in_child", lambda job, *work, label: job(*work))
    apart = held_out.HeldOut(texts[:20], saved, POOL, 8)
    stored = RoutingStore(tmp_path / "store")
    parts = (RESPONSES, PRICES, Models({}), 7, stored)
    found = own_learning(saved, TEXTS, table, *parts, apart.fit)
    assert found is not None and len(found["curve"]) == 3
    assert apart.scores() == pytest.approx(alone, abs=1e-5)
    assert loaded == ["tiny"]
    later = held_out.HeldOut(texts[:20], saved, POOL, 8)  # the curve is in the store
    assert own_learning(saved, TEXTS, table, *parts, later.fit) == found
    assert later.scores() == pytest.approx(alone, abs=1e-5)
