"""Batch APIs: what is sent, collected, stored and booked, against a server that keeps jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.engines.batch import under_way
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.errors import Waiting
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.models import EngineSettings, ModelSettings, SamplingSettings
from tests.support.batch_server import Service, serve_batches
from tests.support.hosted_teachers import wanted

ENGINE = EngineSettings(chunk_size=4)
PROMPTS = [f"What is {i} + 2?" for i in range(6)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "SETTLE_SECONDS", 0.05)


@pytest.fixture
def service() -> Iterator[Service]:
    with serve_batches() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(tmp_path: Path) -> ResponseStore:
    return ResponseStore(tmp_path / "responses")


def batched(service: Service, kind: str, teacher: str = "t", **endpoint: Any) -> Recipe:
    source = {"url": service.url, "model": "m", "batch": kind, "max_tries": 1, **endpoint}
    model = resolve_model("hosted", ModelSettings(endpoint=source))  # type: ignore[arg-type]
    return Recipe(teacher, model, "Be brief.", SamplingSettings(max_new_tokens=10), 2.0, 1.0)


def ask(
    service: Service, kind: str, store: ResponseStore, prompts: list[str] = PROMPTS, **more: Any
) -> list[dict[str, Any]]:
    ledger = more.pop("ledger", None)
    responses, _ = teachers.answer(
        wanted(prompts), [batched(service, kind, **more)], store, ENGINE, 0, ledger, go_on=True
    )
    return responses.to_pylist()


def test_a_run_ends_as_waiting_and_the_same_command_collects(
    service: Service, kind: str, store: ResponseStore
) -> None:
    for _ in range(2):
        sentence = rf"^Waiting for 6 answers of teacher 't' from {kind} batch \(batch_0\): run the same command again to collect them\.$"
        with pytest.raises(Waiting, match=sentence):
            ask(service, kind, store)
    service.end()
    ledger = Ledger()
    rows = ask(service, kind, store, ledger=ledger)
    assert [row["response"] for row in rows] == [f"echo {p}" for p in PROMPTS]
    assert {row["engine"] for row in rows} == {f"{kind} batch"}
    assert {
        (r["prompt_tokens"], r["cached_prompt_tokens"], r["completion_tokens"]) for r in rows
    } == {(11, 8, 5)}
    (counts,) = ledger.take_counts()
    assert (counts["calls"], counts["by_batch"]) == (6, 6)
    assert service.sent == dict.fromkeys(PROMPTS, 1)
    looks = service.calls.copy()
    assert ask(service, kind, store) == rows
    assert service.calls == looks
