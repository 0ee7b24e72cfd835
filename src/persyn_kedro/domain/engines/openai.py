"""Generation with any OpenAI-compatible endpoint."""

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.asking_thread import AskingThread
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.hosted import HostedEngine
from persyn_kedro.foundations.processes.child import check_stopped
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


class OpenAIEngine(HostedEngine):
    """Sends requests to a hosted model from one thread, ``max_concurrency`` at once."""

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        super().__init__(model, settings, cluster)
        self.name = "openai"
        self.in_flight = self.endpoint.max_concurrency
        self._late: list[Generation] = []

    def generate(self, requests: Iterable[Request | None]) -> Generator[Generation, None, None]:
        """Yield a generation for each request as it arrives.

        A request that cannot be answered yields an error; after one with a ``remedy`` no further
        request is sent. Closing the generator waits for requests in flight, which are paid for.

        Raises:
            Ended: the calling thread was stopped.
        """
        thread, waiting, more = AskingThread(self.model, self.endpoint), iter(requests), True
        thread.start()
        try:
            while True:
                while more and thread.asked < 2 * self.in_flight and not thread.stop.is_set():
                    try:
                        request = next(waiting)
                    except StopIteration:
                        more = False
                        break
                    if request is None:  # one of those in flight has to be answered first
                        break
                    thread.ask(request)
                if not thread.asked:
                    return
                yield from thread.answers()
                check_stopped()
        finally:
            self._late += [answer for answer in thread.close() if answer.asked]

    def drain(self) -> Iterator[Generation]:
        """Yield what was in flight when ``generate`` was closed."""
        while self._late:
            yield self._late.pop(0)
