"""The jobs of one model that are under way, also those that a killed run could not note."""

import logging
import time
from collections.abc import Container
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.batch.pile import Pile
from persyn_kedro.domain.engines.batch.service import Service, ServiceError
from persyn_kedro.foundations.processes.child import check_stopped

if TYPE_CHECKING:
    from persyn_kedro.domain.stores.jobs import Job, JobStore

log = logging.getLogger(__name__)

SETTLE_SECONDS = 30.0  # until a request that was sent just before a kill has arrived
LOOK_SECONDS = 0.5  # between looks at whether to stop


class UnderWay:
    """A model's jobs; each change is recorded before the next step.

    Attributes:
        jobs: those that the service has, or may have.
        unmade: those that were begun but certainly not made.
    """

    def __init__(self, service: Service, store: "JobStore") -> None:
        """Look at the service for jobs that were begun and whose ids are not known.

        Raises:
            ServiceError: it could not be looked at.
        """
        self._service, self._store, self._model = service, store, service.model.weights_id
        self._unsure: dict[str, tuple[str, ...]] = {}
        self._collected: list[Job] = []
        self.jobs: list[Job] = []
        self.unmade: list[Job] = []
        for job in store.open(service.name, self._model):
            known = job if job.sent else self._find(job)
            (self.unmade if known is None else self.jobs).append(known or job)

    def keys(self) -> frozenset[str]:
        """Return the keys of all requests under way."""
        return frozenset(key for job in self.jobs for key in job.keys)

    def due(self, asked: Container[str]) -> list["Job"]:
        """Return the jobs with any of these requests."""
        return [job for job in self.jobs if any(key in asked for key in job.keys)]

    def told(self, job: "Job") -> str:
        """Return what a job is called in a sentence."""
        if job.sent is not None:
            return job.sent
        return " or ".join(self._unsure.get(job.name, ())) or f"not certain ({job.name})"

    def send(self, pile: Pile, begun: "Job | None" = None) -> None:
        """Send a job; ``begun`` is its record if it was begun before.

        Raises:
            ServiceError: it was refused, or it is not certain whether it was made.
        """
        job = begun or self._store.intend(self._service.name, self._model, pile.keys)
        self.jobs.append(job)
        pile.file.seek(0)
        try:
            service_id = self._service.send(job, pile.file, begun is not None)
        except ServiceError as error:
            if error.refused:
                self.jobs.remove(job)
                self._store.end(job, "refused")
            raise
        self._note(job, service_id)
        told = (self._service.model.name, service_id, len(job.keys))
        log.info("%s: batch job %s has %d requests", *told)

    def give_up(self, job: "Job") -> None:
        """Forget a job that was begun but not made."""
        self._store.end(job, "not made")

    def ended(self, job: "Job") -> "Job | None":
        """Return the job, with its id, if its results can be read."""
        found = job if job.sent else self._find(job)
        if found is None:  # none of those that might have been this one was
            self.jobs.remove(job)
            self._store.end(job, "not made")
            name = self._service.model.name
            raise ServiceError(f"{self.told(job)} is not the batch job that {name!r} was sent")
        if found.sent is None or not self._service.has_ended(found.sent):
            return None
        return found

    def collected(self, job: "Job") -> None:
        """Take note that all of a job's answers were handed on."""
        self.jobs.remove(job)
        self._collected.append(job)

    def kept(self) -> None:
        """Record that all that was handed on is stored."""
        while self._collected:
            self._store.end(self._collected.pop(), "collected")

    def _note(self, job: "Job", service_id: str) -> "Job":
        known = self._store.sent(job, service_id)
        if job in self.jobs:
            self.jobs[self.jobs.index(job)] = known
        return known

    def _find(self, job: "Job") -> "Job | None":
        """Return a job with its id, or as it is if that is not certain; None if not made."""
        for seconds in (0.0, SETTLE_SECONDS):
            pause(seconds)
            found = self._service.find(job, self._store.known_ids())
            if found.service_id is not None:
                log.info("Batch job %s was made just before a run ended", found.service_id)
                return self._note(job, found.service_id)
            if found.unsure:
                self._unsure[job.name] = found.unsure
                return job
        return None


def pause(seconds: float) -> None:
    """Sleep, unless this thread's work is stopped.

    Raises:
        Ended: it was.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check_stopped()
        time.sleep(min(left, LOOK_SECONDS))
