"""SIGKILL between every two steps of a batch job: nothing is sent twice, and nothing is lost."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import anthropic.resources.messages  # noqa: F401 - once, and not in every child
import openai.resources  # noqa: F401
import pytest

from persyn_kedro.domain.engines.batch import under_way
from persyn_kedro.domain.stores.jobs import JobStore
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.errors import Waiting
from tests.support.batch_server import Service, serve_batches
from tests.support.batched_teachers import PROMPTS, ask, batched

WAITED, DONE = 75, 0
# Where a run is killed: at a request to the server, before or after it is obeyed, ...
SENDING = {
    "openai": ["before upload", "after upload", "before job", "after job"],
    "anthropic": ["before message job", "after message job"],
}
COLLECTING = {
    "openai": ["before content", "after content"],
    "anthropic": ["before results", "after results"],
}
# ... or at a write of ours.
WRITES_SENDING = ["before intend", "after intend", "before sent", "after sent"]
WRITES_COLLECTING = ["before append", "after append", "before end", "after end"]
CASES = [
    (kind, point)
    for kind in ("openai", "anthropic")
    for point in [*SENDING[kind], *WRITES_SENDING, *COLLECTING[kind], *WRITES_COLLECTING]
]


@pytest.fixture
def service() -> Iterator[Service]:
    with serve_batches() as running:
        yield running


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    """Return a function that kills its process before or after it does its work."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        function(*args, **kwargs)
        die()

    return wrapped


def run(service: Service, kind: str, store: Path, point: str | None) -> None:
    """Ask the teacher in this process, a child; exit as the command line does."""
    logging.disable()
    under_way.SETTLE_SECONDS = 0.2
    if point is not None:
        when, method = point.split()
        owner = ResponseStore if method == "append" else JobStore
        setattr(owner, method, killing(getattr(owner, method), when))
    try:
        ask(batched(service, kind), ResponseStore(store))
    except Waiting:
        os._exit(WAITED)
    os._exit(DONE)


def outcome(service: Service, kind: str, store: Path, point: str | None = None) -> int:
    """Run in a child of this process; return its exit code, negative if it was killed."""
    ours = point is not None and point.split()[1] in ("intend", "sent", "append", "end")
    child = get_context("fork").Process(
        target=run, args=(service, kind, store, point if ours else None)
    )

    def step(name: str) -> bool:
        if name != point or ours:
            return False
        os.kill(child.pid or 0, signal.SIGKILL)
        return True

    service.step = step
    child.start()
    child.join(60)
    service.step = lambda name: False
    assert child.exitcode is not None, "it hangs"
    return child.exitcode


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_a_kill_between_two_steps_sends_nothing_twice_and_loses_nothing(
    kind: str, point: str, service: Service, tmp_path: Path
) -> None:
    store = tmp_path / "responses"
    if point in [*COLLECTING[kind], *WRITES_COLLECTING]:
        assert outcome(service, kind, store) == WAITED
        service.end()
        assert outcome(service, kind, store, point) == -signal.SIGKILL
    else:
        assert outcome(service, kind, store, point) == -signal.SIGKILL
        assert outcome(service, kind, store) == WAITED
    service.end()
    assert outcome(service, kind, store) == DONE
    assert service.sent == dict.fromkeys(PROMPTS, 1)
    assert len(service.batches) == 1 and len(service.files) == (kind == "openai")
    rows = ResponseStore(store).read(batched(service, kind).shelf).to_pylist()
    assert {row["response"] for row in rows} == {f"echo {prompt}" for prompt in PROMPTS}
    seen = service.calls.total()
    assert outcome(service, kind, store) == DONE  # and from now on the store answers
    assert service.calls.total() == seen


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_kills_at_one_step_after_another(kind: str, service: Service, tmp_path: Path) -> None:
    store, points = tmp_path / "responses", [*WRITES_SENDING[1:3], *SENDING[kind]]
    for point in points:
        assert outcome(service, kind, store, point) in (-signal.SIGKILL, WAITED)
    service.end()
    for point in [*COLLECTING[kind], *WRITES_COLLECTING]:
        assert outcome(service, kind, store, point) in (-signal.SIGKILL, DONE)
    assert outcome(service, kind, store) == DONE
    assert service.sent == dict.fromkeys(PROMPTS, 1)
