"""Unit tests are pure: no process, no connection, no model of Transformers, however small."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from persyn_kedro.domain.prompts import sources, templates
from persyn_kedro.foundations.models import files, random, resolve
from tests.support.fixtures import fake, one_hub_a_test, small_blocks, store  # noqa: F401

IMPURE = {"subprocess.Popen", "os.fork", "os.posix_spawn", "socket.bind", "socket.connect"}
_in_a_unit_test = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _in_a_unit_test and event in IMPURE:
        raise AssertionError(f"A unit test must be pure, but this one calls {event}{arguments}.")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def pure(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Refuse what belongs in tests/integration; no cache that other tests filled may help."""
    global _in_a_unit_test
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path_factory.getbasetemp() / "no_cache"))
    monkeypatch.setattr(random, "make_random_model", _no_random_model)
    for module in (files, resolve, templates):
        monkeypatch.setattr(module, "call_in_child", lambda work, *args, label: work(*args))
    monkeypatch.setattr(sources, "run_in_child", lambda work, *args, label: work(*args))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no test cuts the power
    if models := sys.modules.get("transformers.modeling_utils"):
        monkeypatch.setattr(models.PreTrainedModel, "__init__", _no_model)
    _in_a_unit_test = True
    yield
    _in_a_unit_test = False


def _no_model(model: Any, *arguments: Any, **more: Any) -> None:
    raise AssertionError(f"A unit test must be pure, but this one makes a {type(model).__name__}.")


# Also where no other test of the process has imported Transformers yet.
def _no_random_model(directory: Path, kind: str, seed: int) -> None:
    raise AssertionError(f"A unit test must be pure, but this one makes a random {kind} model.")


@pytest.fixture
def only_tokenizers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make random models without weights, in a cache of the test's own."""

    def make(directory: Path, kind: Literal["chat", "base"], seed: int) -> None:
        random.byte_tokenizer(kind).save_pretrained(directory)
        (directory / "config.json").write_text('{"model_type": "llama"}')

    monkeypatch.setattr(random, "make_random_model", make)
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
