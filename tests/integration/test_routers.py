"""Routers: linear and knn on fixed embeddings, the language model on a tiny random one."""

import json

import numpy as np
import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job, read_prompt_job, score_prompts_job
from persyn_kedro.domain.routers.language_model.router import LanguageModelRouter
from persyn_kedro.domain.routers.metrics import router_metrics
from persyn_kedro.domain.routers.registry import load_router, router_class
from persyn_kedro.domain.routers.saving import write_description
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from tests.support.router_cases import NAN, POOL, PROMPTS, REWARDS


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
    ((found, near),) = read_prompt_job("sort number 1", PROMPTS, tmp_path / "router", 4)
    chosen = REWARDS[near.places]
    assert sorted(near.places) == [1, 4, 7, 10]  # the four "sort" prompts; one has an invalid c
    means = np.nanmean(chosen if invalid == "leave_out" else np.nan_to_num(chosen), axis=0)
    np.testing.assert_allclose(found.scores[0], means, atol=1e-6)
    assert load_router(tmp_path / "router", POOL).predict(["sort number 1"]) == means.argmax()


@pytest.mark.parametrize("kind", ["language_model", "linear", "knn"])
def test_a_fitted_prompt_is_its_own_nearest(kind, tiny, tmp_path):
    settings = settings_of_kind(kind, {"epochs": 1, "batch_size": 5})
    list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    ((found, near),) = read_prompt_job(PROMPTS[7], PROMPTS, tmp_path / "router", 3)
    assert near.places[0] == 7 and len(near.places) == 3
    assert near.similarities[0] == pytest.approx(1, abs=1e-4)
    own = load_router(tmp_path / "router", POOL).predict_scores(PROMPTS)[7]
    np.testing.assert_allclose(found.scores[0], own, atol=1e-5)


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


@pytest.mark.parametrize("kind", ["language_model", "linear"])
def test_a_prompt_longer_than_the_backbones_context_is_cut(kind, tiny, monkeypatch):
    lengths = []
    plain = embeddings.hidden_states

    def watched(model, ids, *layer):
        lengths.extend(map(len, ids))
        return plain(model, ids, *layer)

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
