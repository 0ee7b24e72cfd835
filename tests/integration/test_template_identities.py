"""Date and arguments of a template are part of identities where they matter, and only there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.engines import engine_of
from persyn_kedro.domain.engines.base import Request
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.hub import hub_commit
from persyn_kedro.foundations.models.identities import model_identity
from persyn_kedro.foundations.models.random import CHATML, make_random_model
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.clock import DATED
from tests.support.endpoint import Endpoint
from tests.support.hosted_teachers import remote
from tests.support.tiny_gguf import write_tiny_gguf

OFF = {"enable_thinking": False}


def dated_directory(directory: Path) -> Path:
    make_random_model(directory, "chat", 0)
    (directory / "chat_template.jinja").write_text(DATED)
    return directory


def test_a_step_s_record_knows_the_date_before_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def date_of(**settings: Any) -> str | None:
        return model_identity("m", ModelSettings(**settings)).get("template_date")

    assert date_of(random="chat") is None
    local = dated_directory(tmp_path / "local")
    assert date_of(local=str(local)) == "2024-07-26"
    assert date_of(local=str(local), template_date="2025-03-05") == "2025-03-05"
    assert date_of(local=str(local), chat_template=CHATML) is None
    gguf = write_tiny_gguf(tmp_path / "plain.gguf")
    assert date_of(gguf=str(gguf)) is None
    monkeypatch.setattr("tests.support.tiny_gguf.CHATML", DATED)
    assert date_of(gguf=str(write_tiny_gguf(tmp_path / "dated.gguf"))) == "2024-07-26"

    commit = "a1" * 20
    snapshot, asked = tmp_path / commit, []

    def download(name: str, revision: str, **options: Any) -> str:
        if options.get("local_files_only"):
            raise FileNotFoundError(name)
        asked.append(options["allow_patterns"])
        return str(snapshot)

    snapshot.mkdir()
    (snapshot / "chat_template.jinja").write_text(DATED)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    info = type("Info", (), {"sha": commit})
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *given, **more: info)
    hub_commit.cache_clear()
    assert date_of(hub="org/model") == "2024-07-26"
    assert asked == [["chat_template.jinja", "tokenizer_config.json"]]
    os.remove(snapshot / "chat_template.jinja")
    (snapshot / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML}))
    assert date_of(hub="org/model") is None


def test_a_server_is_sent_the_arguments_only_where_they_are_set(endpoint: Endpoint) -> None:
    plain = remote(endpoint)
    told = ResolvedModel(
        plain.name,
        plain.directory,
        plain.weights_id,
        plain.settings.model_copy(update={"template_arguments": {"reasoning_effort": "low"}}),
    )
    sampling = SamplingSettings(top_k=3)
    for m in (plain, told):
        requests = [Request("k", "Hi", None, sampling, 0)]
        (answer,) = engine_of(m, EngineSettings()).generate(requests)
        assert answer.error is None
    assert "chat_template_kwargs" not in endpoint.bodies[0]
    assert endpoint.bodies[1] == {
        **endpoint.bodies[0],
        "chat_template_kwargs": {"reasoning_effort": "low"},
    }
    here = ModelSettings(endpoint={"url": "http://h/v1", "model": "b"})  # type: ignore[arg-type]
    ids = [
        Recipe("t", resolve_model("far", s), None, SamplingSettings()).recipe_id
        for s in (here, here.model_copy(update={"template_arguments": OFF}))
    ]
    assert ids[0] == "7f4e0ecb6feeb9517f5708188876a9f7" != ids[1]
    assert settings_id(model_identity("far", here)) == "9333ac8c7d5486a4204e9df96ef6a37d"
