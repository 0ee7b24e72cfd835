"""Generation with any OpenAI-compatible endpoint, through the official client."""

import math
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.arguments import api_key
from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.models import EndpointSettings, EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

from persyn_kedro.domain.engines.retries import MARKED, Asker


class OpenAIEngine(Engine):
    """Sends requests to a hosted model from threads, ``max_concurrency`` at once."""

    in_child = False

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        super().__init__(model, settings, cluster)
        assert model.settings.endpoint  # noqa: S101 - the registry chose this engine for it
        self.endpoint: EndpointSettings = model.settings.endpoint
        self.name = "openai"
        self.context = math.inf  # the server's is unknown
        self.in_flight = self.endpoint.max_concurrency
        self.unknown_finish_reason = self.endpoint.unknown_finish_reason
        self._late: list[Generation] = []

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Return whether the prompt contains a template marker and the settings do not allow it."""
        return failure["error"] == MARKED and not self.endpoint.allow_template_markers

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request as it arrives.

        A request that cannot be answered yields an error; after one with a ``remedy`` no further
        request is sent. Closing the generator waits for requests in flight, which are paid for.
        """
        stop = threading.Event()
        client = _client(self.endpoint)
        limit = AdaptiveLimit(self.endpoint.max_concurrency)
        asker = Asker(self.model, client, self.endpoint, limit, stop)
        waiting = iter(requests)
        under_way: set[Future[Generation | None]] = set()
        ready: set[Future[Generation | None]] = set()
        pool = ThreadPoolExecutor(self.in_flight, thread_name_prefix=f"ask {self.model.name}")
        try:
            while True:
                while len(under_way) < 2 * self.in_flight and not stop.is_set():
                    request = next(waiting, None)
                    if request is None:
                        break
                    under_way.add(pool.submit(asker.ask, request))
                if not under_way:
                    return
                ready, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                while ready:
                    generation = ready.pop().result()
                    if generation is not None:
                        yield generation
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            ended = [future.result() for future in ready | under_way if not future.cancelled()]
            self._late += [answer for answer in ended if answer and answer.asked]
            client.close()

    def drain(self) -> Iterator[Generation]:
        """Yield what was in flight when ``generate`` was closed."""
        while self._late:
            yield self._late.pop(0)


def _client(endpoint: EndpointSettings) -> Any:
    from openai import OpenAI

    return OpenAI(
        base_url=endpoint.url,
        api_key=api_key(endpoint) or "none",
        timeout=endpoint.timeout_seconds,
        max_retries=0,  # tenacity retries; the client's own retries would ignore the shared limit
    )
