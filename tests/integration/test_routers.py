"""Routers: linear and knn on fixed embeddings, the language model on a tiny random one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job, read_prompt_job, score_prompts_job
from persyn_kedro.domain.routers.language_model.router import LanguageModelRouter
from persyn_kedro.domain.routers.metrics import router_metrics
from persyn_kedro.domain.routers.registry import load_router, router_class
from persyn_kedro.domain.routers.saving import check_pool, write_description
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind

NAN = np.nan
POOL = [{"teacher": name, "weights_id": f"w{name}", "recipe_id": f"r{name}"} for name in "abc"]
PROMPTS = [f"{word} number {i}" for i in range(4) for word in ("add", "sort", "translate")]
REWARDS = np.tile(np.array([[1.0, 0.2, 0.0], [0.1, 0.9, 0.05], [0.0, 0.3, 1.0]]), (4, 1))
REWARDS[1, 2] = NAN


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    directory = tmp_path / "tiny"
    make_random_model(directory, "chat", seed=0)
    settings = ModelSettings(random="chat", dtype="float32")
    model = weights.ResolvedModel("tiny", directory, "tiny-weights", settings)
    monkeypatch.setattr(weights, "resolve_model", lambda name, settings: model)
    return model


@pytest.fixture
def fake_embedding(monkeypatch):
    kinds = {"add": 0, "sort": 1, "translate": 2}

    def embed_batches(backbone, prompts, batch_size, max_tokens=1024):
        for start in range(0, len(prompts), batch_size):
            batch = [prompt.split() for prompt in prompts[start : start + batch_size]]
            points = [[*np.eye(3)[kinds[w[0]]], 0.01 * int(w[-1]), 1.0] for w in batch]
            yield np.array(points, dtype=np.float32)

    monkeypatch.setattr(embeddings, "embed_batches", embed_batches)


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_embedding_routers_fit_save_and_load(kind, tiny, fake_embedding, tmp_path):
    settings = settings_of_kind(kind, {"ridge": 0.1, "neighbours": 4, "batch_size": 5})
    saved = tmp_path / "router"
    events = list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, saved))
    assert [event["epoch"] for event in events] == [1]
    scores = router_class(kind)(tiny, settings).fit(PROMPTS, REWARDS).predict_scores(PROMPTS)
    assert scores.dtype == np.float32
    assert router_metrics(scores, REWARDS, REWARDS)["router"]["hit@1"] == 1
    batches = list(score_prompts_job(PROMPTS, saved, POOL, 5))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    np.testing.assert_array_equal(np.concatenate(batches), scores)
    assert load_router(saved, POOL).predict_scores([]).shape == (0, 3)
    description = json.loads((saved / "router.json").read_text())
    assert (description["kind"], description["n_fit"]) == (kind, 12)
    # Routers that were saved before each kind had its own keys have those of all.
    older = {**description["settings"], "epochs": 4, "ridge": 0.1, "neighbours": 4}
    write_description(saved, {**description, "settings": older})
    np.testing.assert_array_equal(load_router(saved, POOL).predict_scores(PROMPTS), scores)
    assert description["teachers"] == POOL


def test_routers_are_scikit_learn_estimators(tiny, fake_embedding):
    """Cloned, searched over and cross-validated by scikit-learn's own tools."""
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.model_selection import GridSearchCV

    settings = [TrainRouterSettings(kind="linear", ridge=ridge) for ridge in (1e6, 0.1)]
    router = router_class("linear")(tiny, settings[0], seed=3)
    assert clone(router).get_params() == router.get_params()
    with pytest.raises(NotFittedError):
        router.predict(PROMPTS)
    search = GridSearchCV(router, {"settings": settings}, cv=2).fit(PROMPTS, REWARDS)
    assert search.best_params_ == {"settings": settings[1]}
    assert search.best_score_ == pytest.approx(0)  # no regret: the kinds are told apart
    assert search.best_estimator_.predict(PROMPTS[:3]).tolist() == [0, 1, 2]


def test_knn_averages_valid_neighbours_only(tiny, fake_embedding):
    rewards = REWARDS.copy()
    rewards[0, 0] = NAN  # the other three "add" prompts give a 1
    settings = TrainRouterSettings(kind="knn", neighbours=4)
    scores = router_class("knn")(tiny, settings).fit(PROMPTS, rewards).predict_scores(PROMPTS[:2])
    np.testing.assert_allclose(scores, [[1.0, 0.2, 0.0], [0.1, 0.9, 0.05]], atol=1e-6)


@pytest.mark.parametrize("invalid", ["leave_out", "lose"])
def test_knn_scores_are_the_means_of_the_neighbours_that_explain_them(
    invalid, tiny, fake_embedding, tmp_path
):
    settings = TrainRouterSettings(kind="knn", neighbours=4, invalid=invalid)
    list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    ((scores, near),) = read_prompt_job("sort number 1", PROMPTS, tmp_path / "router", 4)
    chosen = REWARDS[near.places]
    assert sorted(near.places) == [1, 4, 7, 10]  # the four "sort" prompts; one has an invalid c
    means = np.nanmean(chosen if invalid == "leave_out" else np.nan_to_num(chosen), axis=0)
    np.testing.assert_allclose(scores, means, atol=1e-6)
    assert load_router(tmp_path / "router", POOL).predict(["sort number 1"]) == means.argmax()


@pytest.mark.parametrize("kind", ["language_model", "linear", "knn"])
def test_a_fitted_prompt_is_its_own_nearest(kind, tiny, tmp_path):
    settings = settings_of_kind(kind, {"epochs": 1, "batch_size": 5})
    list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    ((scores, near),) = read_prompt_job(PROMPTS[7], PROMPTS, tmp_path / "router", 3)
    assert near.places[0] == 7 and len(near.places) == 3
    assert near.similarities[0] == pytest.approx(1, abs=1e-4)
    own = load_router(tmp_path / "router", POOL).predict_scores(PROMPTS)[7]
    np.testing.assert_allclose(scores, own, atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_with_lose_an_invalid_response_counts_as_no_reward(kind, tiny, fake_embedding):
    """A teacher that is right on half its "add" prompts and cut off on the others."""
    rewards = REWARDS.copy()
    rewards[[0, 3], 0] = NAN  # of four "add" prompts; the other two give it 1
    scores = {
        invalid: router_class(kind)(
            tiny, settings_of_kind(kind, {"neighbours": 4, "ridge": 1e-3, "invalid": invalid})
        )
        .fit(PROMPTS, rewards)
        .predict_scores(PROMPTS[:1])[0]
        for invalid in ("leave_out", "lose")
    }
    assert scores["leave_out"][0] == pytest.approx(1.0, abs=0.1)
    assert scores["lose"][0] == pytest.approx(0.5, abs=0.25 if kind == "linear" else 1e-6)


def test_ridge_is_chosen_by_leave_one_out_where_it_is_not_set(tiny, fake_embedding):
    rewards = REWARDS.copy()
    rewards[1:, 2] = NAN  # one prompt alone: nothing to leave out
    router = router_class("linear")(tiny, TrainRouterSettings(kind="linear"))
    scores = router.fit(PROMPTS, rewards).predict_scores(PROMPTS)
    assert np.isfinite(scores).all()
    assert (scores[:, :2].argmax(axis=1) == REWARDS[:, :2].argmax(axis=1)).all()


def test_remembered_prompts_are_embedded_once(tiny, monkeypatch):
    with embeddings.remembered():
        first = embeddings.embed(tiny, PROMPTS[:4], 2)
        monkeypatch.setattr(embeddings, "load_backbone", None)  # no model is loaded again
        again = embeddings.embed(tiny, [PROMPTS[3], PROMPTS[0]], 2)
    np.testing.assert_array_equal(again, first[[3, 0]])


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


def test_language_model_overfits_and_survives_saving(tiny, tmp_path):
    settings = TrainRouterSettings(
        epochs=20, batch_size=4, learning_rate=3e-3, head_learning_rate=1e-2
    )
    saved = tmp_path / "router"
    losses = [e["loss"] for e in fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, saved)]
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 2
    router = load_router(saved, POOL)
    scores = router.predict_scores(PROMPTS)
    assert router_metrics(scores, REWARDS, REWARDS)["router"]["hit@1"] == 1
    again = np.concatenate(list(score_prompts_job(PROMPTS, saved, POOL, 1)))
    np.testing.assert_allclose(again, scores, atol=1e-4)  # padding changes nothing
    fitted = LanguageModelRouter(tiny, settings, seed=0).fit(PROMPTS, REWARDS)
    np.testing.assert_allclose(fitted.predict_scores(PROMPTS), scores, atol=1e-5)


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


@pytest.mark.parametrize("kind", ["language_model", "linear"])
def test_a_prompt_longer_than_the_backbones_context_is_cut(kind, tiny, monkeypatch):
    lengths = []
    plain = embeddings.hidden_states

    def watched(model, ids):
        lengths.extend(map(len, ids))
        return plain(model, ids)

    monkeypatch.setattr(embeddings, "hidden_states", watched)
    config = tiny.directory / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "max_position_embeddings": 64}))
    settings = settings_of_kind(kind, {"epochs": 1, "max_prompt_tokens": 1024})
    prompts = ["z" * 1_000_000, *PROMPTS[1:3]]
    scores = router_class(kind)(tiny, settings).fit(prompts, REWARDS[:3]).predict_scores(prompts)
    assert np.isfinite(scores).all() and max(lengths) == 64


def test_long_prompts_keep_their_end(tiny):
    model, tokenizer = embeddings.load_backbone(tiny)
    (whole,) = embeddings.encode(tokenizer, ["y " * 50 + "x"], max_tokens=1000)
    (cut,) = embeddings.encode(tokenizer, ["y " * 50 + "x"], max_tokens=8)
    assert cut == whole[-8:]
    assert [len(states) for states in embeddings.hidden_states(model, [cut[:3], cut])] == [3, 8]


def test_a_backbone_that_cannot_be_packed_gives_the_same_states(tiny, monkeypatch):
    model, tokenizer = embeddings.load_backbone(tiny)
    ids = embeddings.encode(tokenizer, PROMPTS[:3], max_tokens=64)
    packed = embeddings.hidden_states(model, ids)
    monkeypatch.setattr(embeddings.packing, "use_packing", lambda model: False)
    other, _ = embeddings.load_backbone(tiny)
    for a, b in zip(packed, embeddings.hidden_states(other, ids), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-5)


def test_equal_rewards_are_refused_before_a_model_is_loaded(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.dataset as pads

    from persyn_kedro.domain.teachers.recipe import resolve_recipes
    from persyn_kedro.foundations.settings.models import Models, Teachers
    from persyn_kedro.foundations.tables import schemas
    from persyn_kedro.pipelines.train_router import nodes

    fit = "persyn_kedro.domain.routers.fit.run_in_ranks"
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
