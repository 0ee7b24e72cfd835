"""Unit tests are pure: no process, no connection, no model of Transformers, however small."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fixtures import fake, one_hub_a_test, small_blocks, store  # noqa: F401

IMPURE = {"subprocess.Popen", "os.fork", "os.posix_spawn", "socket.bind", "socket.connect"}
_in_a_unit_test = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _in_a_unit_test and event in IMPURE:
        raise AssertionError(f"A unit test must be pure, but this one calls {event}{arguments}.")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def pure(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse what belongs in tests/integration."""
    global _in_a_unit_test
    if models := sys.modules.get("transformers.modeling_utils"):
        monkeypatch.setattr(models.PreTrainedModel, "__init__", _no_model)
    _in_a_unit_test = True
    yield
    _in_a_unit_test = False


def _no_model(model: Any, *arguments: Any, **more: Any) -> None:
    raise AssertionError(f"A unit test must be pure, but this one makes a {type(model).__name__}.")
