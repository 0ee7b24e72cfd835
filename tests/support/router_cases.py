"""What the tests of routers share: prompts with rewards, a tiny backbone, plain embeddings."""

import numpy as np
import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.settings.models import ModelSettings

NAN = np.nan
POOL = [{"teacher": name, "weights_id": f"w{name}", "recipe_id": f"r{name}"} for name in "abc"]
PROMPTS = [f"{word} number {i}" for i in range(4) for word in ("add", "sort", "translate")]
REWARDS = np.tile(np.array([[1.0, 0.2, 0.0], [0.1, 0.9, 0.05], [0.0, 0.3, 1.0]]), (4, 1))
REWARDS[1, 2] = NAN


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "_loaded", None)  # of another test, with the same weights_id
    directory = tmp_path / "tiny"
    make_random_model(directory, "chat", seed=0)
    settings = ModelSettings(random="chat", dtype="float32")
    model = weights.ResolvedModel("tiny", directory, "tiny-weights", settings)
    monkeypatch.setattr(weights, "resolve_model", lambda name, settings: model)
    return model


@pytest.fixture
def fake_embedding(monkeypatch):
    kinds = {"add": 0, "sort": 1, "translate": 2}

    def embed_batches(backbone, prompts, batch_size, max_tokens=1024, how=None):
        for start in range(0, len(prompts), batch_size):
            batch = [str(prompt).split() for prompt in prompts[start : start + batch_size]]
            points = [[*np.eye(3)[kinds[w[0]]], 0.01 * int(w[-1]), 1.0] for w in batch]
            yield np.array(points, dtype=np.float32)

    monkeypatch.setattr(embeddings, "embed_batches", embed_batches)
