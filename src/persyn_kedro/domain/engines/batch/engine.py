"""Generation by a service's batch API: half the price, and a day's patience."""

import logging
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Generation, Request, failed
from persyn_kedro.domain.engines.batch.anthropic_service import NO_TOOLS, AnthropicBatches
from persyn_kedro.domain.engines.batch.openai_service import OpenAIBatches
from persyn_kedro.domain.engines.batch.pile import Pile, as_line
from persyn_kedro.domain.engines.batch.service import Service, ServiceError
from persyn_kedro.domain.engines.batch.under_way import UnderWay, pause
from persyn_kedro.domain.engines.hosted import HostedEngine, generation_of, set_aside
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.domain.stores.jobs import Job
    from persyn_kedro.foundations.models.resolve import ResolvedModel

log = logging.getLogger(__name__)

SERVICES: dict[str, type[Service]] = {"openai": OpenAIBatches, "anthropic": AnthropicBatches}
TOO_LARGE = "set aside: the request is larger than a batch job may be"
NO_RESULT = Refusal("the batch job's results do not contain this request")
Requests = Iterator[Request | None]


class BatchEngine(HostedEngine):
    """Sends requests as jobs, and collects the answers of those that have ended.

    Unless the settings say to wait, ``generate`` ends with what is under way as ``waiting``. A job
    is recorded before it is sent, and its record ends once its answers are stored, so that a kill
    loses and repeats nothing.
    """

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        super().__init__(model, settings, cluster)
        self._service = SERVICES[str(self.endpoint.batch)](model)
        self.name = f"{self.endpoint.batch} batch"
        self._asked: dict[str, int] = {}  # the token limit of each request not answered, by key
        self._answered = self._closed = False

    @cached_property
    def _jobs(self) -> UnderWay:
        return UnderWay(self._service, self.jobs)

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Return whether the request cannot be sent, however often it is tried."""
        return failure["error"] in (NO_TOOLS, TOO_LARGE) or super().is_final(failure)

    def under_way(self) -> Collection[str]:
        """Return the keys of requests in jobs that have not been collected."""
        return self._jobs.keys()

    def generate(self, requests: Iterable[Request | None]) -> Generator[Generation, None, None]:
        """Collect what has ended, send what is new, and yield the answers.

        Raises:
            ServiceError: the service refused, or nothing is under way and it cannot be reached.
            Ended: the calling thread was stopped.
        """
        try:
            yield from self._generate(iter(requests))
        except ServiceError as error:
            if error.refused or not self._jobs.due(self._asked):
                raise
            self._leave(error.what)
        except GeneratorExit:
            self._closed = True
            raise

    def drain(self) -> Iterator[Generation]:
        """Yield, if ``generate`` was closed, the other answers of the jobs that have ended."""
        if self._closed:
            with suppress(ServiceError):  # then a later run collects them
                yield from self._collect()

    def kept(self) -> None:
        """Record which jobs need not be collected again."""
        self._jobs.kept()

    def _generate(self, requests: Requests) -> Generator[Generation, None, None]:
        first = self._skip_sent(requests)
        yield from self._collect()  # first: if all of these failed, no more is sent
        requests, more = chain(first, requests), True
        while True:
            if more:
                more = yield from self._send(requests)
            collected = yield from self._collect()
            if not self._jobs.due(self._asked) and not more:
                return
            if collected:
                continue
            if self.endpoint.batch_poll_seconds is None:
                return self._leave()
            pause(self.endpoint.batch_poll_seconds)

    def _leave(self, trouble: str | None = None) -> None:
        """Leave what is under way to a later run."""
        self.trouble = trouble
        self.waiting = {
            self._jobs.told(job): sum(key in self._asked for key in job.keys)
            for job in self._jobs.due(self._asked)
        }

    def _skip_sent(self, requests: Requests) -> list[Request]:
        """Go through the requests that are under way; return the first other one, if any."""
        keys = self._jobs.keys()
        for request in requests:
            if request is None:  # the budget may have room once these are collected
                return []
            if request.key not in keys:
                return [request]
            self._asked[request.key] = request.sampling.max_new_tokens
        return []

    def _send(self, requests: Requests) -> Generator[Generation, None, bool]:
        """Send jobs of these requests; return whether there are more, beyond the budget."""
        with ExitStack() as files:
            new = files.enter_context(self._pile())
            begun = [(job, files.enter_context(self._pile())) for job in self._jobs.unmade]
            home = {key: pile for job, pile in begun for key in job.keys}
            self._jobs.unmade.clear()
            more = False
            for request in requests:
                if request is None:
                    more = True
                    break
                line = self._line(request)
                if isinstance(line, Generation):
                    yield line
                    continue
                self._asked[request.key] = request.sampling.max_new_tokens
                own = home.get(request.key)
                if own is not None and own.has_room(line):
                    own.add(request.key, line)
                    continue
                if not new.has_room(line):
                    self._jobs.send(new)
                    new = files.enter_context(self._pile())
                new.add(request.key, line)
            for job, pile in begun:
                self._send_again(job, pile)
            if new.keys:
                self._jobs.send(new)
        return more

    def _send_again(self, job: "Job", pile: Pile) -> None:
        """Send a job that a killed run began, if all of it is still wanted, or else what is."""
        if set(pile.keys) == set(job.keys):
            self._jobs.send(pile, job)
            return
        self._jobs.give_up(job)
        if pile.keys:
            self._jobs.send(pile)

    def _pile(self) -> Pile:
        return Pile(self._service.most_requests, self._service.most_bytes)

    def _line(self, request: Request) -> bytes | Generation:
        aside = set_aside(request, self.endpoint)
        if aside is not None:
            return aside
        try:
            line = as_line(self._service.body(request))
        except ValueError as error:
            return failed(request, str(error), asked=False)
        if len(line) > self._service.most_bytes:
            return failed(request, TOO_LARGE, asked=False)
        return line

    def _collect(self) -> Generator[Generation, None, int]:
        """Yield the answers of the jobs that have ended; return how many jobs these are."""
        collected = 0
        for job in self._jobs.due(self._asked):
            ended = self._jobs.ended(job)
            if ended is not None:
                yield from self._answers(ended)
                self._jobs.collected(ended)
                collected += 1
        return collected

    def _answers(self, job: "Job") -> Iterator[Generation]:
        """Yield what a job came to, failures last: a few that come first say nothing about it."""
        failures: dict[str, Answer | Refusal] = {}
        for key, reply in self._service.results(job, self._asked):
            if isinstance(reply, Refusal) or reply.error is not None:
                failures[key] = reply
            elif self._asked.pop(key, None) is not None:
                self._answered = True
                yield generation_of(key, [reply], self.model)
        for key in job.keys:
            if self._asked.pop(key, None) is not None:
                reply = failures.get(key, NO_RESULT)
                stops = not (
                    isinstance(reply, Refusal) and reply.unless_answered and self._answered
                )
                yield generation_of(key, [reply], self.model, stops)
