"""What routers refuse: nothing to fit on, another pool or backbone, a cut-off directory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job
from persyn_kedro.domain.routers.registry import load_router, router_class
from persyn_kedro.domain.routers.saving import check_pool
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from tests.support.router_cases import NAN, POOL, PROMPTS, REWARDS


@pytest.mark.parametrize("kind", ["language_model", "linear", "knn"])
def test_nothing_to_fit_on_is_refused(kind, tiny):
    rewards = np.full((2, 3), NAN)
    rewards[:, 0] = 0.5
    with pytest.raises(PersynError, match="two valid teachers"):
        router_class(kind)(tiny, TrainRouterSettings(kind=kind)).fit(PROMPTS[:2], rewards)


def test_other_weights_of_the_backbone_are_refused(tiny, fake_embedding, tmp_path, monkeypatch):
    settings = TrainRouterSettings(kind="linear")
    list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    other = weights.ResolvedModel("tiny", tiny.directory, "other", tiny.settings)
    monkeypatch.setattr(weights, "resolve_model", lambda name, settings: other)
    with pytest.raises(PersynError, match="different weights than it was fitted on"):
        load_router(tmp_path / "router", POOL)


@pytest.mark.parametrize(
    ("pool", "named"),
    [
        (POOL[:2], "'c' was removed"),
        ([*POOL, {"teacher": "d", "weights_id": "w", "recipe_id": "r"}], "'d' was added"),
        ([POOL[1], POOL[0], POOL[2]], "order"),
        ([{**POOL[0], "weights_id": "x"}, *POOL[1:]], "weights of 'a'"),
        ([*POOL[:2], {**POOL[2], "recipe_id": "x"}], "sampling of 'c'"),
    ],
)
def test_another_pool_is_refused(pool, named, tmp_path):
    (tmp_path / "router.json").write_text(json.dumps({"kind": "linear", "teachers": POOL}))
    check_pool(tmp_path, POOL)
    with pytest.raises(PersynError, match=named):
        check_pool(tmp_path, pool)


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_directory_without_a_router_is_refused(text, tmp_path):
    if text is not None:
        (tmp_path / "router.json").write_text(text)
    with pytest.raises(PersynError, match=r"router\.json"):
        check_pool(tmp_path, POOL)


def test_checking_a_pool_imports_nothing_heavy():
    code = (
        "import sys, persyn_kedro.domain.routers.saving, persyn_kedro.domain.routers.jobs;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sklearn')))"
    )
    source = Path(embeddings.__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True)


@pytest.mark.parametrize("kind", ["language_model", "linear", "knn"])
def test_a_router_that_is_not_whole_is_refused(kind, tiny, fake_embedding, tmp_path):
    settings = settings_of_kind(kind, {"epochs": 1})
    list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    (arrays,) = (tmp_path / "router").glob("[lkc]*.safetensors")  # linear, knn, coefficient_head
    arrays.write_bytes(b"cut off")
    with pytest.raises(PersynError, match=r"The router in .*/router is corrupt: "):
        load_router(tmp_path / "router", POOL)
    arrays.unlink()
    with pytest.raises(PersynError, match=r"The router in .*/router is corrupt: "):
        load_router(tmp_path / "router", POOL)


def test_equal_rewards_are_refused_before_a_model_is_loaded(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.dataset as pads

    from persyn_kedro.domain.teachers.recipe import resolve_recipes
    from persyn_kedro.foundations.settings.models import Models
    from persyn_kedro.foundations.settings.teachers import Teachers
    from persyn_kedro.foundations.tables import schemas
    from persyn_kedro.pipelines.train_router import nodes

    fit = "persyn_kedro.domain.routers.fit.train_together"
    monkeypatch.setattr(fit, lambda *_, **__: pytest.fail("a model was loaded"))
    models = Models({n: ModelSettings(random="chat", random_seed=i) for i, n in enumerate("ab")})
    teachers = Teachers({"x": {"model": "a"}, "y": {"model": "b"}})
    recipes = resolve_recipes(teachers, models)
    prompts = [
        {"prompt_id": p, "prompt": p, "split": "calibration", "part": "fit"} for p in ("p", "q")
    ]
    rewards = [
        {
            "prompt_id": p, "teacher": r.teacher, "response_key": r.response_key(p),
            "reward": 0.5, "valid": True,
        } for p in ("p", "q") for r in recipes
    ]  # fmt: skip
    kinds = (schemas.PROMPTS, schemas.REWARDS)
    tables = [
        pads.dataset(pa.Table.from_pylist(rows, kind))
        for rows, kind in zip((prompts, rewards), kinds, strict=True)
    ]
    with pytest.raises(PersynError, match="All teachers have equal rewards on every prompt"):
        nodes.fit_router(*tables, models, teachers, TrainRouterSettings(backbone="a"), 0, tmp_path)
