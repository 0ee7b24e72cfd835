"""Models from their settings to a directory: identity, cache, templates, errors, fetched wheels."""

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.models.hub import hub_commit
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import CHATML, make_random_model
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.storage import cache as model_cache
from persyn_kedro.foundations.templates.base import BASE_TEMPLATE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    make_random_model(directory / "chat", "chat", 0)
    make_random_model(directory / "base", "base", 0)
    return directory


@pytest.fixture
def chat(made: Path, tmp_path: Path) -> Path:
    """A copy of a chat model that a test may change."""
    return shutil.copytree(made / "chat", tmp_path / "chat")


def _local(directory: Path) -> weights.ResolvedModel:
    return weights.resolve_model("m", ModelSettings(local=str(directory)))


def test_a_random_model_is_made_once_and_loads(cache: Path) -> None:
    settings = ModelSettings(random="chat", random_seed=3, dtype="float32")
    first = weights.resolve_model("m", settings)
    assert first.directory == cache / "random" / "chat-3-v1"
    assert first.weights_id == "random:chat-3-v1"
    assert (first.directory / "_SUCCESS").is_file()
    assert [p.name for p in first.directory.parent.iterdir()] == ["chat-3-v1"]
    written = (first.directory / "model.safetensors").stat().st_mtime_ns
    assert weights.resolve_model("m", settings) == first
    assert (first.directory / "model.safetensors").stat().st_mtime_ns == written

    model = load_causal_lm(first)
    assert str(model.dtype) == "torch.float32" and not model.training
    assert str(load_causal_lm(first, dtype="bfloat16").dtype) == "torch.bfloat16"
    config = json.loads((first.directory / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]


def test_the_byte_tokenizer_keeps_every_text_and_splits_special_ones(made: Path) -> None:
    tokenizer = load_tokenizer(_local(made / "chat"))
    text = "Zürich\n\t 12 <|im_end|> 漢🙂"
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert len(ids) == len(text.encode()) and max(ids) < 256 and len(tokenizer) == 260
    assert tokenizer.decode(ids) == text
    assert tokenizer("<|im_end|>")["input_ids"] == [tokenizer.eos_token_id]


def test_a_seed_fixes_the_weights(made: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        make_random_model(tmp_path / str(seed), "chat", seed)
    same = (tmp_path / "0" / "model.safetensors").read_bytes()
    assert same == (made / "chat" / "model.safetensors").read_bytes()
    assert same != (tmp_path / "1" / "model.safetensors").read_bytes()


def test_an_interrupted_build_leaves_nothing_and_a_remnant_is_replaced(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model_cache.finished("kind", "x", fail)
    assert list((cache / "kind").iterdir()) == []
    (cache / "kind" / "x-v1").mkdir()
    (cache / "kind" / "x-v1" / "half").touch()
    done = model_cache.finished("kind", "x", lambda directory: (directory / "whole").touch())
    assert {p.name for p in done.iterdir()} == {"whole", "_SUCCESS"}


def test_the_first_of_two_builders_wins(cache: Path) -> None:
    def slow(directory: Path) -> None:
        model_cache.finished("kind", "x", lambda other: (other / "first").touch())
        (directory / "second").touch()

    done = model_cache.finished("kind", "x", slow)
    assert {p.name for p in done.iterdir()} == {"first", "_SUCCESS"}
    assert [p.name for p in done.parent.iterdir()] == ["x-v1"]


def test_a_local_identity_follows_the_content_only(chat: Path, tmp_path: Path) -> None:
    before = _local(chat).weights_id
    assert before.startswith("local:")
    (chat / "notes.md").write_text("not part of the model")
    assert _local(chat).weights_id == before
    assert _local(shutil.copytree(chat, tmp_path / "moved")).weights_id == before
    for name in ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"):
        path = chat / name
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        os.utime(path, ns=(1, 1))
        assert _local(chat).weights_id != before, name
        path.write_bytes(content)
    assert _local(chat).weights_id == before


def test_a_hash_is_remembered_until_the_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, ns=(5, 5))
    assert model_cache.file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", None)  # it is not read again
        assert model_cache.file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, ns=(5, 5))
    os.replace(other, path)  # of the same size and time, as `cp -p` and `rsync -t` leave it
    assert model_cache.file_sha256(path) == hashlib.sha256(b"two").hexdigest()
    os.utime(path, ns=(6, 6))
    assert model_cache.file_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_the_template_is_the_settings_then_the_models_then_the_base_one(
    made: Path, chat: Path
) -> None:
    model = _local(chat)
    assert model.chat_template == load_tokenizer(model).chat_template == CHATML
    chosen = dataclasses.replace(
        model, settings=ModelSettings(local=str(chat), chat_template="{{ 1 }}")
    )
    assert chosen.chat_template == load_tokenizer(chosen).chat_template == "{{ 1 }}"
    assert _local(made / "base").chat_template == BASE_TEMPLATE
    assert load_tokenizer(_local(made / "base")).chat_template == BASE_TEMPLATE
    assert pickle.loads(pickle.dumps(model)) == model


@pytest.mark.parametrize(
    "stored, expected",
    [
        ("plain", "plain"),
        ([{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}], "d"),
        ([{"name": "rag", "template": "r"}], BASE_TEMPLATE),
        (None, BASE_TEMPLATE),
    ],
)
def test_a_template_in_tokenizer_config_counts(chat: Path, stored: object, expected: str) -> None:
    (chat / "chat_template.jinja").unlink()
    (chat / "tokenizer_config.json").write_text(json.dumps({"chat_template": stored}))
    assert _local(chat).chat_template == expected


COMMIT = "a1" * 20


class Hub:
    """A stub of the hub and of its cache: what is asked of it, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, snapshot: Path) -> None:
        import huggingface_hub

        self.snapshot, self.sha, self.error, self.cached = snapshot, COMMIT, None, False
        self.asked: list[tuple] = []
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.download)
        monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", self.repo_info)
        monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", self.list_repo_files)

    def repo_info(self, name: str, revision: str | None, repo_type: str) -> SimpleNamespace:
        self.asked.append(("info", name, revision))
        if self.error:
            raise self.error
        return SimpleNamespace(sha=self.sha)

    files = ("config.json", "pytorch_model.bin")

    def list_repo_files(self, name: str, revision: str) -> list[str]:
        assert revision == COMMIT
        if self.error:
            raise self.error
        return list(self.files)

    def download(self, name: str, revision: str | None, **options: object) -> str:
        if options.get("local_files_only"):
            if not self.cached:
                raise FileNotFoundError(name)
            return str(self.snapshot)
        self.asked.append(("download", name, revision))
        assert not any("bin" in pattern for pattern in options["allow_patterns"])  # type: ignore
        return str(self.snapshot)


@pytest.fixture
def hub(chat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub_commit.cache_clear()
    return Hub(monkeypatch, chat.rename(tmp_path / COMMIT))


def test_a_hub_model_is_identified_by_the_commit_that_is_fetched(hub: Hub) -> None:
    settings = ModelSettings(hub="org/model", revision="main")
    assert weights.identify_weights("m", settings) == f"hub:org/model@{COMMIT}"
    assert weights.resolve_model("m", settings).weights_id == f"hub:org/model@{COMMIT}"
    asked = ("info", "org/model", "main")
    assert hub.asked == [asked, ("download", "org/model", COMMIT)]  # one state of the hub a run
    hub_commit.cache_clear()
    hub.sha = None
    with pytest.raises(PersynError, match="'org/model' has no commit id"):
        weights.resolve_model("m", settings)


def test_the_hub_is_not_asked_for_a_cached_commit_and_need_not_be_there_for_a_branch(
    hub: Hub,
) -> None:
    hub.cached, hub.error = True, RuntimeError("no route")
    for revision in (COMMIT, "main"):
        settings = ModelSettings(hub="org/model", revision=revision)
        assert weights.identify_weights("m", settings) == f"hub:org/model@{COMMIT}"
    assert hub.asked == [("info", "org/model", "main")]


def test_a_hub_model_of_pickles_alone_is_refused_before_it_is_fetched(hub: Hub) -> None:
    settings = ModelSettings(hub="org/model")
    with pytest.raises(PersynError, match=r"'org/model' has no safetensors\. .*allow_pickle"):
        weights.check_hub_files(settings, COMMIT)
    weights.check_hub_files(ModelSettings(hub="org/model", allow_pickle=True), COMMIT)
    hub.files = ("model-00001-of-00002.safetensors",)
    weights.check_hub_files(settings, COMMIT)
    hub.error = RuntimeError("no route")
    weights.check_hub_files(settings, COMMIT)  # what is in the cache can be used offline
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub: Hub) -> None:
    hub.error = RuntimeError("no route\nand more")
    with pytest.raises(PersynError, match="Hub model 'a/b' was not found: no route$"):
        weights.identify_weights("m", ModelSettings(hub="a/b"))


def test_what_is_not_there_is_one_sentence(chat: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(PersynError, match="Model 'm': no such directory: .*absent"):
        _local(absent)
    with pytest.raises(PersynError, match="No such GGUF file: .*absent"):
        weights.resolve_model("m", ModelSettings(gguf=str(absent)))
    absent.write_bytes(b"GGML")
    with pytest.raises(PersynError, match="is not a GGUF file"):
        weights.resolve_model("m", ModelSettings(gguf=str(absent)))
    with pytest.raises(
        PersynError, match="Unknown zoo model 'gpt-9'; available: smollm2, qwen2.5-coder-0.5b"
    ):
        weights.resolve_model("m", ModelSettings(zoo="gpt-9"))
    with pytest.raises(PersynError, match="Unknown model 'b'; the settings have a"):
        weights.resolve_models(Models({"a": ModelSettings(random="chat")}), ["b"])
    (chat / "model.safetensors").unlink()
    with pytest.raises(PersynError, match=r"has no \*.safetensors"):
        _local(chat)
    (chat / "config.json").unlink()
    with pytest.raises(PersynError, match="has no config.json"):
        _local(chat)


def test_a_models_catalog_directory_means_its_newest_version(tmp_path: Path) -> None:
    root = tmp_path / "student"
    for version, seed in (("2026-01-02", 2), ("2026-01-01", 1), (".partial-2026-01-03", 3)):
        make_random_model(root / version / "student", "chat", seed)
    found = weights.resolve_model("mine", ModelSettings(local=str(root)))
    assert found.directory == root / "2026-01-02" / "student"
    direct = weights.resolve_model("mine", ModelSettings(local=str(found.directory)))
    assert found.weights_id == direct.weights_id
