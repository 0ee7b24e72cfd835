"""Many requests at a server that takes few, on a clock that jumps to what comes next."""

import asyncio
import random
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from persyn_kedro.domain.engines import concurrency
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.retries import Asker
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

SECONDS = 1.0  # per answer, and what the server asks to wait


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that sleeps nothing: its clock jumps to the next task's time."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        self.now += 1e-6  # it always moves, as a real one does
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass
class Served:
    """What became of the calls, and how long they took."""

    answers: list[Generation | None]
    seconds: float
    refusals: int
    limit: AdaptiveLimit

    @property
    def failed(self) -> int:
        """Calls without an answer."""
        return sum(answer is None or answer.error is not None for answer in self.answers)


def serve(
    calls: int, at_once: int, takes: int, monkeypatch: pytest.MonkeyPatch, tries: int = 6
) -> Served:
    """Send ``calls`` requests, ``at_once``, to a server that refuses more than ``takes``."""
    random.seed(3)
    loop, running, refusals = JumpingLoop(), 0, 0
    monkeypatch.setattr(concurrency, "time", SimpleNamespace(monotonic=loop.time))
    limit = AdaptiveLimit(at_once, clock=loop.time)

    class Slow(Asker):
        async def _reply(self, request: Request) -> Answer | Refusal:
            nonlocal running, refusals
            await asyncio.sleep(0.01)
            if running >= takes:
                refusals += 1
                return Refusal("HTTP 429", again=True, wait=SECONDS)
            running += 1
            await asyncio.sleep(SECONDS)
            running -= 1
            return Answer("yes", "stop", 1, 1)

    endpoint = EndpointSettings(url="http://x/v1", model="m", max_tries=tries)
    model = SimpleNamespace(name="m", settings=SimpleNamespace(endpoint=endpoint))
    asker = Slow(model, endpoint, None, limit, threading.Event())  # type: ignore[arg-type]
    requests = [Request(f"{n}", f"{n}", None, SamplingSettings(), 0) for n in range(calls)]

    async def all_of_them() -> list[Generation | None]:
        slots = asyncio.Semaphore(at_once)  # as ``AskingThread`` begins them

        async def ask(request: Request) -> Generation | None:
            async with slots:
                return await asker.ask(request)

        return list(await asyncio.gather(*map(ask, requests)))

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        answers = runner.run(all_of_them())
    return Served(answers, loop.now, refusals, limit)


def test_a_burst_of_refusals_halves_the_limit_once() -> None:
    limit = AdaptiveLimit(1000)
    assert [limit.refused(0, sent=0) for _ in range(900)] == [True] + [False] * 899
    assert limit.limit == 500
    assert limit.refused(0, sent=1) and not limit.refused(0, sent=1) and limit.limit == 250


def test_refusals_of_a_burst_delay_even_if_they_do_not_halve() -> None:
    now = [0.0]
    limit = AdaptiveLimit(8, clock=lambda: now[0])
    limit.refused(1.0, sent=0)
    limit.refused(5.0, sent=0)
    now[0] = 4.9
    with suppress(TimeoutError), asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(limit.acquire(threading.Event()), 0.01))
        pytest.fail("a request was sent too early")


def test_a_thousand_at_once_find_what_a_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(1500, 1000, 100, monkeypatch)
    assert served.failed == 0
    assert served.seconds < 25  # 15 if the limit were known; 46 where each refusal halves it


@pytest.mark.parametrize("at_once", [256, 1000])
@pytest.mark.parametrize("takes", [2, 10])
def test_a_server_that_takes_few_costs_no_row(
    takes: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(at_once, at_once, takes, monkeypatch, tries=3)
    assert served.failed == 0
    assert served.refusals < 4 * at_once  # bursts of a half, a quarter, … and what follows


def test_a_server_that_refuses_everything_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(40, 16, 0, monkeypatch, tries=3)
    assert served.failed == 40 and served.limit.limit == 1
    assert 3 * 40 <= served.refusals < 3 * 40 + 2 * 16
