"""The template beside a model's weights: found whatever the cache holds, or one sentence."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.identities import model_identity
from persyn_kedro.foundations.models.own_templates import own_template
from persyn_kedro.foundations.models.random import CHATML
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs import preflight
from tests.support.clock import DATED
from tests.support.settings import SHORTEST

COMMIT = "b2" * 20
HUB = ModelSettings(hub="org/model", revision=COMMIT)


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a hub model's directory in a cache, where config.json alone was fetched."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    directory = tmp_path / "models--org--model" / "snapshots" / COMMIT
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    return directory


def test_a_template_that_was_not_fetched_is_no_missing_one(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PersynError, match="^Hub model 'org/model' could not be fetched: "):
        model_identity("m", HUB)

    ours = huggingface_hub.snapshot_download

    def download(name: str, local_files_only: bool = False, **options: Any) -> str:
        if not local_files_only:
            (snapshot / "chat_template.jinja").write_text(DATED)
        return ours(name, local_files_only=local_files_only, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert model_identity("m", HUB)["template_date"] == "2024-07-26"


def test_a_model_without_a_template_is_asked_for_once(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(name: str, local_files_only: bool = False, **options: Any) -> str:
        asked.extend([] if local_files_only else [options["allow_patterns"]])
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *given, **more: None)
    for _ in range(3):
        assert "template_date" not in model_identity("m", HUB)
    assert len(asked) == 1


def check(models: dict[str, Any], pipeline: str = "label") -> None:
    """Check models as a run does before it pays."""
    settings = read_settings({**SHORTEST, "models": models})
    preflight._check_models(register_pipelines()[pipeline], settings)


def test_a_date_that_no_template_reads_is_refused_before_teachers_are_paid() -> None:
    chat = {"random": "chat"}
    check({"a": {**chat, "chat_template": DATED, "template_date": "2025-03-05"}, "b": chat})
    same_but_for_the_date = {"a": chat, "b": {**chat, "template_date": "2025-03-05"}}
    with pytest.raises(PersynError, match=r"^Parameter models\.b\.template_date: .*date_string"):
        check(same_but_for_the_date)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("chat_template.jinja", b"caf\xe9", "is not UTF-8: .* at byte 3"),
        ("tokenizer_config.json", b"caf\xe9", "is not UTF-8: .* at byte 3"),
        ("tokenizer_config.json", b"{", "is not valid JSON: "),
        ("tokenizer_config.json", b"[" * 100_000, "is not valid JSON: "),
        ("tokenizer_config.json", b"[1]", "is not a JSON object"),
        ("tokenizer_config.json", b'{"chat_template": 5}', "chat_template .* is not a string"),
        (
            "tokenizer_config.json",
            b'{"chat_template": [{"name": "default", "template": 5}]}',
            "chat_template .* is not a string",
        ),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_path(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PersynError, match=sentence) as caught:
        own_template(tmp_path)
    told = str(caught.value)
    assert str(tmp_path / name) in told and told.endswith(".") and told.isprintable()


def test_of_several_templates_the_default_one_is_taken(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    other, default = ({"name": n, "template": t} for n, t in (("rag", "x"), ("default", CHATML)))
    for named, found in (([other, default], CHATML), ([other], None), ([], None), ([5], None)):
        config.write_text(json.dumps({"chat_template": named}))
        assert own_template(tmp_path) == found
