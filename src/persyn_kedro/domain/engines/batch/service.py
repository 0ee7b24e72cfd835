"""What a batch API must do for the engine; one class per service."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from persyn_kedro.domain.engines.arguments import api_key, extra_headers
from persyn_kedro.domain.engines.base import EngineError, Request
from persyn_kedro.domain.engines.hosted import generation_of
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.foundations.errors import PersynError

if TYPE_CHECKING:
    from persyn_kedro.domain.stores.jobs import Job
    from persyn_kedro.foundations.models.resolve import ResolvedModel

UPLOAD_SECONDS = 600.0  # for a service to take in a job
CLOCKS = timedelta(hours=1)  # by which the service's clock and ours may differ
MEGABYTE = 1_000_000
_MAY_HELP = {408, 409, 425, 429}  # and from 500: the same request again


class ServiceError(EngineError):
    """The service refused (``refused``: for good), or could not be reached.

    ``what`` is the sentence without its remedy.
    """

    def __init__(self, what: str, remedy: str | None = None, refused: bool = False) -> None:
        super().__init__(
            f"{what}: {remedy or 'run the same command again'}; nothing is sent twice."
        )
        self.what, self.refused = f"{what}.", refused


@dataclass(frozen=True)
class Found:
    """A job looked for at the service: its id there, or the ids of jobs that may be it."""

    service_id: str | None = None
    unsure: tuple[str, ...] = ()


class Service(ABC):
    """A batch API. ``most_requests`` and ``most_bytes`` are its limits on one job."""

    name: str
    most_requests: int
    most_bytes: int

    def __init__(self, model: "ResolvedModel") -> None:
        assert model.settings.endpoint  # noqa: S101 - only hosted models have one
        self.model, self.endpoint = model, model.settings.endpoint

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that the official clients share."""
        return {
            "api_key": api_key(self.endpoint) or "none",
            "default_headers": extra_headers(self.endpoint),
            "timeout": self.endpoint.timeout_seconds,
            "max_retries": self.endpoint.max_tries - 1,
        }

    @abstractmethod
    def body(self, request: Request) -> dict[str, Any]:
        """Return a request as a line of a job, with its key as ``custom_id``.

        Raises:
            ValueError: the service has no form for it; the message says why.
        """

    @abstractmethod
    def send(self, job: "Job", lines: IO[bytes], again: bool) -> str:
        """Send a job, the JSON lines in a file, without retries; return the service's id for it.

        Args:
            again: the job was begun before, but the service does not have it.
        """

    @abstractmethod
    def find(self, job: "Job", known: set[str]) -> Found:
        """Look for a job that was sent, maybe; ``known`` are the ids of our other jobs."""

    @abstractmethod
    def has_ended(self, service_id: str) -> bool:
        """Return whether a job's results can be read."""

    @abstractmethod
    def results(
        self, job: "Job", asked: Mapping[str, int]
    ) -> Iterator[tuple[str, Answer | Refusal]]:
        """Yield the results of a job that has ended, by key; ``asked`` are those to read.

        Args:
            asked: the token limit of each answer, by key.
        """

    def read(self, status: int, body: Any, most: int) -> Answer | Refusal:
        """Return what a reply, a JSON value, means; ``most`` is the answer's token limit."""
        return read_reply(status, {}, json.dumps(body), most, self.endpoint)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Raise what goes wrong with the service as one sentence.

        Raises:
            ServiceError: it says what did.
        """
        try:
            yield
        except PersynError:
            raise
        except Exception as error:  # the clients', their HTTP library's, and broken JSON
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> ServiceError:
        status, reply = getattr(error, "status_code", None), getattr(error, "response", None)
        words = f"{type(error).__name__}: {error}"
        refusal: Answer | Refusal = Refusal(words)
        if status is not None:
            refusal = read_reply(status, reply.headers, reply.text, 0, self.endpoint)  # type: ignore[union-attr]
        told = generation_of("", [refusal], self.model)
        what = f"The batch service of model {self.model.name!r} failed ({told.error})"
        refused = status is not None and status < 500 and status not in _MAY_HELP
        return ServiceError(what, told.remedy, refused)
