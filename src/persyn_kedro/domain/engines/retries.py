"""Send a request to a hosted model, with retries until it is answered or refused."""

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.arguments import body_of
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit, pause
from persyn_kedro.domain.engines.hosted import generation_of, set_aside
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.domain.engines.transport import Transport
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

LONGEST_PAUSE = 60.0  # seconds between two tries, unless the server asks for more


@dataclass(frozen=True)
class Asker:
    """Sends requests to one hosted model; shared by all of them."""

    model: "ResolvedModel"
    endpoint: EndpointSettings
    transport: Transport
    limit: AdaptiveLimit
    stop: threading.Event
    answered: set[SamplingSettings] = field(default_factory=set)

    async def ask(self, request: Request) -> Generation | None:
        """Return the answer, or an error after a final refusal or the last try.

        None if ``stop`` was set before the request was sent.
        """
        aside = set_aside(request, self.endpoint)
        if aside is not None:
            return aside
        replies: list[Answer | Refusal] = []
        for number in range(self.endpoint.max_tries):
            if number:
                longest = self.endpoint.backoff_seconds * 2.0 ** min(number - 1, 60)
                await pause(random.uniform(0, min(LONGEST_PAUSE, longest)), self.stop)  # noqa: S311
            reply = await self._try(request)
            if reply is None:
                break
            replies.append(reply)
            if isinstance(reply, Answer) or not reply.again:
                break
        return self._generation(request, replies) if replies else None

    async def _try(self, request: Request) -> Answer | Refusal | None:
        """Send the request, unless ``stop`` is set.

        Where we sent more at once than the server takes, only the first refusal of the burst is a
        try: the others say nothing about their requests, and are sent again.
        """
        while (sent := await self.limit.acquire(self.stop)) is not None:
            try:
                reply = await self._reply(request)
            finally:
                self.limit.release()
            if isinstance(reply, Answer):
                self.limit.succeeded()
                self.answered.add(request.sampling)
                return reply
            first = reply.wait is None or self.limit.refused(reply.wait, sent)
            if first or not reply.again:
                return reply
        return None

    async def _reply(self, request: Request) -> Answer | Refusal:
        reply = await self.transport.post(body_of(request, self.model.settings))
        if isinstance(reply, Refusal):
            return reply
        return read_reply(*reply, request.sampling.max_new_tokens, self.endpoint)

    def _generation(self, request: Request, replies: list[Answer | Refusal]) -> Generation:
        """Turn the last reply into a generation; set ``stop`` if it stops the model."""
        reply = replies[-1]
        stops = not (
            isinstance(reply, Refusal)
            and reply.unless_answered
            and request.sampling in self.answered
        )
        generation = generation_of(request.key, replies, self.model, stops)
        if generation.remedy:
            self.stop.set()
        return generation
