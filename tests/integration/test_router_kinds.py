"""Every kind of router, and every way to read prompts and to tune, on tiny random models."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.jobs import fit_router_job, prompt_scorer, read_prompt_job
from persyn_kedro.domain.routers.language_model.router import LanguageModelRouter
from persyn_kedro.domain.routers.registry import load_router, router_class
from persyn_kedro.domain.routers.saving import selection_of, task_columns_of
from persyn_kedro.domain.routers.tasks import TaskColumns, task_of, with_tasks
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings, settings_of_kind
from persyn_kedro.foundations.tables import schemas
from tests.support.router_cases import POOL, PROMPTS, REWARDS
from tests.support.tables import dataset

ROWS = [
    {"prompt_id": f"{i:032x}", "prompt": p, "source": p.split()[0], "kept": json.dumps({"n": i})}
    for i, p in enumerate(PROMPTS)
]
TABLE = dataset(ROWS, schemas.SOURCE_PROMPTS)
MIXED = {
    "kind": "ensemble",
    "members": [
        {"kind": "knn", "neighbours": 4},
        {"kind": "linear", "loss": "soft", "ridge": 1.0},
        {"kind": "task_type"},
    ],
}
KINDS = [
    {"kind": "mlp", "hidden_units": 4, "ridge": 1.0},
    {"kind": "linear", "loss": "grk", "ridge": 1.0},
    {"kind": "knn", "weights": "distance", "shrinkage": 1.0, "neighbours": 4},
    {"kind": "constant"},
    {"kind": "task_type"},
    MIXED,
    {"kind": "auto", "selection_folds": 3, "candidates": {"near": {"kind": "knn"}, "mix": MIXED}},
    {"kind": "auto", "selection_folds": 3, "insist": "task_type"},
]


def typed(columns: list[str]) -> list:
    asked = {row["prompt_id"]: row["prompt"] for row in ROWS}
    return list(with_tasks(asked, TABLE, columns).values())


@pytest.mark.parametrize("keys", KINDS, ids=lambda keys: f"{keys['kind']}-{len(keys)}")
def test_a_kind_fits_is_saved_routes_with_errors_and_explains(
    keys, tiny, fake_embedding, tmp_path
) -> None:
    settings, saved = TrainRouterSettings(**keys, batch_size=5), tmp_path / "router"
    prompts = typed(settings.task_columns)
    (event,) = fit_router_job(prompts, REWARDS, settings, tiny, 0, POOL, saved)
    assert np.isfinite(event["loss"])
    found = list(prompt_scorer(saved, POOL, 5)(prompts))
    scores, errors = (np.concatenate(part) for part in zip(*found, strict=True))
    assert [len(batch.scores) for batch in found] == [5, 5, 2]
    assert scores.dtype == errors.dtype == np.float32
    assert np.isfinite(errors).all() and (errors >= 0).all() and (errors > 0).any()
    again = load_router(saved, POOL)
    np.testing.assert_array_equal(again.predict_scores(prompts), scores)
    np.testing.assert_array_equal(again.predict_errors(prompts), errors)
    assert again.settings == settings and task_columns_of(saved) == settings.task_columns
    if keys["kind"] != "constant":
        assert (scores.argmax(axis=1) == np.nan_to_num(REWARDS).argmax(axis=1)).all()
    ((own, near),) = read_prompt_job(prompts[4], prompts, saved, 2)
    np.testing.assert_allclose(own.scores[0], scores[4], atol=1e-6)
    np.testing.assert_allclose(own.errors[0], errors[4], atol=1e-6)
    assert near is not None and len(near.places) == 2


def test_auto_tells_how_it_chose(tiny, fake_embedding, tmp_path) -> None:
    settings = TrainRouterSettings(**KINDS[-2])
    prompts = typed(settings.task_columns)
    list(fit_router_job(prompts, REWARDS, settings, tiny, 0, POOL, tmp_path / "router"))
    selection = selection_of(tmp_path / "router")
    assert list(selection["candidates"]) == ["constant", "near", "mix"]
    assert (selection["chosen"], selection["because"]) == ("mix", "best")  # kNN of 8 blurs 4 kinds
    assert selection["nested"]["to_constant"]["value"] < 0
    insisted = TrainRouterSettings(**KINDS[-1])
    router = router_class("auto")(tiny, insisted).fit(prompts, REWARDS)
    assert router.selection_["because"] == "insisted"
    assert [type(m).__name__ for m in router.members_] == ["TaskTypeRouter"]


@pytest.mark.parametrize(
    "keys",
    [
        {"tuning": "head_only", "loss": "weighted"},
        {"tuning": "lora", "lora": {"rank": 4}, "loss": "rao_kupper", "pooling": "mean"},
        {"loss": "grk", "pooling": "cls"},
        {"loss": "softmax_regret"},
        {"loss": "regression"},
    ],
    ids=lambda keys: "-".join(map(str, keys.values())),
)
def test_the_language_model_is_tuned_in_every_way(keys, tiny, tmp_path) -> None:
    more = {"epochs": 8, "batch_size": 4, "learning_rate": 3e-3, "head_learning_rate": 1e-2}
    settings = settings_of_kind("language_model", {**more, **keys})
    saved = tmp_path / "router"
    events = list(fit_router_job(PROMPTS, REWARDS, settings, tiny, 0, POOL, saved))
    assert len(events) == 8 and events[-1]["loss"] < events[0]["loss"]
    router = load_router(saved, POOL)
    scores, errors = router.predict_scores(PROMPTS), router.predict_errors(PROMPTS)
    assert scores.shape == errors.shape == (12, 3) and (errors > 0).all()
    fitted = LanguageModelRouter(tiny, settings, seed=0).fit(PROMPTS, REWARDS)
    np.testing.assert_allclose(fitted.predict_scores(PROMPTS), scores, atol=1e-4)
    before, _ = embeddings.load_backbone(tiny)
    same = all(
        a.equal(b) for a, b in zip(before.parameters(), router._model.parameters(), strict=True)
    )
    assert same == (settings.tuning == "head_only")


def test_heads_on_one_backbone_read_each_prompt_once(tiny, monkeypatch) -> None:
    def scores(loss: str) -> np.ndarray:
        settings = settings_of_kind("language_model", {"tuning": "head_only", "loss": loss})
        return LanguageModelRouter(tiny, settings).fit(PROMPTS, REWARDS).predict_scores(PROMPTS)

    losses, read, whole = ("bradley_terry", "weighted"), [], embeddings.hidden_states

    def counted(model, ids, layer=None):
        read.extend(ids)
        return whole(model, ids, layer)

    alone = [scores(loss) for loss in losses]
    monkeypatch.setattr(embeddings, "hidden_states", counted)
    with embeddings.remembered():
        together = [scores(loss) for loss in losses]
    assert len(read) == len(PROMPTS)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_states_are_pooled_and_read_at_any_layer(tiny) -> None:
    model, tokenizer = embeddings.load_backbone(tiny)
    ids = embeddings.encode(tokenizer, PROMPTS[:3], 64)
    for layer in (None, 0, 1):
        rows = embeddings.hidden_states(model, ids, layer)
        for pooling, chosen in (("mean", None), ("cls", 0), ("last", -1)):
            how = EmbeddingSettings(pooling=pooling, layer=layer)
            found = embeddings.embed(tiny, PROMPTS[:3], 2, 64, how)
            wanted = [r.mean(dim=0) if chosen is None else r[chosen] for r in rows]
            for own, row in zip(found, wanted, strict=True):
                np.testing.assert_allclose(own, row.detach().numpy(), atol=1e-5)
    with pytest.raises(PersynError, match="embedding.layer is 99, but model 'tiny' has only"):
        embeddings.embed(tiny, PROMPTS[:1], 1, 64, EmbeddingSettings(layer=99))


def test_each_way_of_reading_is_remembered_apart(tiny, monkeypatch) -> None:
    with embeddings.remembered(), embeddings.remembered():
        first = embeddings.embed(tiny, PROMPTS[:2], 2)
        last = embeddings.embed(tiny, PROMPTS[:2], 2, 1024, EmbeddingSettings(pooling="last"))
        monkeypatch.setattr(embeddings, "load_backbone", None)  # no model is loaded again
        np.testing.assert_array_equal(embeddings.embed(tiny, PROMPTS[:2], 2), first)
    assert not np.allclose(first, last)


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """A tiny BERT with a word-piece tokenizer, as sentence encoders have them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    monkeypatch.setattr(embeddings, "_loaded", None)
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "add",
        "sort",
        "translate",
        "number",
        *"0123456789",
    ]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    directory = tmp_path / "encoder"
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=8,
    ).save_pretrained(directory)  # fmt: skip
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(directory)
    settings = ModelSettings(local=str(directory), dtype="float32")
    return weights.ResolvedModel("encoder", directory, "encoder-weights", settings)


def test_a_sentence_encoder_reads_the_text_with_its_own_special_tokens(encoder) -> None:
    import torch

    how = EmbeddingSettings(model="encoder", template=False)
    texts = ["add number 1", "sort [CLS]", "add " * 30]
    model, tokenizer = embeddings.load_backbone(encoder)
    ids = embeddings.encode(tokenizer, texts, 16, template=False)
    assert ids[0] == [2, 4, 7, 9, 3]
    assert 2 not in ids[1][1:-1]  # what looks like a special token is text
    assert len(ids[2]) == 8 and ids[2][-1] == 3  # the tokenizer's longest
    found = embeddings.embed(encoder, texts, 2, 16, how)
    with torch.no_grad():
        wanted = [model(input_ids=torch.tensor([row]))[0][0].mean(dim=0).numpy() for row in ids]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_routers_of_several_models_are_fitted_and_saved(tiny, encoder, tmp_path, monkeypatch):
    models = {"tiny": tiny, "encoder": encoder}
    monkeypatch.setattr(weights, "resolve_model", lambda name, _: models[name])
    members = [
        {"kind": "knn", "neighbours": 4},
        {"kind": "knn", "neighbours": 4, "embedding": {"model": "encoder", "template": False}},
    ]
    settings = TrainRouterSettings(kind="ensemble", backbone="tiny", members=members)
    assert settings.readers == ["tiny", "encoder"]
    saved = tmp_path / "router"
    list(fit_router_job(PROMPTS, REWARDS, settings, models, 0, POOL, saved))
    router = load_router(saved, POOL)
    assert [m.backbone.name for m in router.members_] == ["tiny", "encoder"]
    fitted = router_class("ensemble")(models, settings).fit(PROMPTS, REWARDS)
    np.testing.assert_array_equal(router.predict_scores(PROMPTS), fitted.predict_scores(PROMPTS))


def test_a_column_of_the_prompts_is_read_by_id_or_in_order(tmp_path) -> None:
    columns = ["source", "n"]
    by_id = with_tasks({ROWS[2]["prompt_id"]: "x", "f" * 32: "unknown"}, TABLE, columns)
    known, unknown = by_id.values()
    assert (task_of(known, "source"), task_of(known, "n")) == ("translate", "2")
    assert unknown == "unknown" and task_of(unknown, "source") is None
    pq.write_table(TABLE.to_table(), tmp_path / "prompts.parquet")
    rows = TaskColumns(pads.dataset(tmp_path / "prompts.parquet"), *columns)
    assert len(rows) == 12 and [task_of(p, "source") for p in rows[:2]] == ["add", "sort"]
    assert str(rows[0]) == "add number 0"
    assert pickle.loads(pickle.dumps(rows))[5] == rows[5]


def test_older_assignments_have_no_standard_errors() -> None:
    from persyn_kedro.foundations.tables.added import with_added

    old = schemas.ASSIGNMENTS.remove(schemas.ASSIGNMENTS.get_field_index("standard_errors"))
    row = {"prompt_id": "0" * 32, "teacher": "a", "scores": [1.0, 0.0], "margin": 1.0}
    table = with_added(dataset([row], old), schemas.ASSIGNMENTS).to_table()
    assert table.schema.equals(schemas.ASSIGNMENTS, check_metadata=False)
    assert table["standard_errors"].null_count == 1 and isinstance(table, pa.Table)
