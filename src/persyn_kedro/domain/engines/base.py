"""The contract of all engines: requests in, generations out, in no fixed order."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import is_installed
from persyn_kedro.foundations.prompts.conversation import Prompt, SystemOrder, as_rows, with_system
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.domain.stores.jobs import JobStore
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one response, with its own ``seed``, so that order does not matter.

    ``reply_schema`` is a JSON schema that the response must follow, where its server knows how.
    """

    key: str
    prompt: Prompt
    system: str | None
    sampling: SamplingSettings
    seed: int
    row_system: SystemOrder = "join"
    reply_schema: str | None = None

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat messages sent to the model, as dicts of role and content."""
        return as_rows(with_system(self.prompt, self.system, self.row_system))


@dataclass(frozen=True)
class Generation:
    """The result of a request: ``finish_reason`` is stop, length or error (with ``error`` set).

    ``completion_tokens`` counts all generated tokens, including the one that ended the turn.
    ``asked`` is False if the prompt was skipped before it reached the model. ``unknown`` counts
    tries that may have been charged but did not report their usage. ``remedy`` is set, besides
    ``error``, if every other request would fail too: it says what to do, and stops the model;
    ``{teacher}`` in it stands for the teacher's name. ``unknown_reason`` is the server's finish
    reason if it is not a known one; ``finish_reason`` is then what the settings map it to.
    ``cached_prompt_tokens`` are the prompt tokens that a server read from its cache; None if it
    does not report them.
    """

    key: str
    response: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    error: str | None = None
    asked: bool = True
    unknown: int = 0
    remedy: str | None = None
    unknown_reason: str | None = None
    cached_prompt_tokens: int | None = None


def failed(request: Request, error: str, prompt_tokens: int = 0, asked: bool = True) -> Generation:
    """Return the generation for a request that got no response."""
    return Generation(request.key, "", "error", prompt_tokens, 0, error, asked)


class EngineError(PersynError):
    """One model cannot go on; the others can, and finish before the run ends with this error."""


class Engine(ABC):
    """Runs one model: locally, on a Ray cluster, hosted, or by the user's own code.

    An engine is cheap to create, loads nothing until it is used, and is pickled to its process.

    Attributes:
        in_child: whether it runs in its own process, which frees all memory when it ends;
            otherwise it runs in the caller's.
        loads_here: whether it reads the model's files on this machine.
        stays: whether it can stay loaded, in its process, for a later call (``rest``).
        hosted: whether a server runs the model: it runs beside all other models.
        in_flight: the most responses that may be paid for but not yet yielded.
        library: the module that it requires; ``install_hint`` says how to install it.
        unknown_finish_reason: what an unknown finish reason counts as, stop or length; None if
            there are no unknown ones.
        jobs: where an engine records what a later run collects; set before anything else.
        waiting: after ``generate``, the jobs that a later run collects, and their requests.
        trouble: why these could not be looked at just now, if they could not.
    """

    in_child: bool = True
    loads_here: bool = True
    stays: bool = False
    hosted: bool = False
    in_flight: int = 0
    library: str | None = None
    install_hint: str = ""
    unknown_finish_reason: str | None = None
    jobs: "JobStore"
    waiting: Mapping[str, int] = MappingProxyType({})
    trouble: str | None = None

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        self.model, self.settings, self.cluster = model, settings, cluster
        self.name = settings.name  # as recorded with its responses

    @classmethod
    def environment(cls, settings: EngineSettings) -> dict[str, str]:
        """Return environment variables for the child, set before any library is imported."""
        return {}

    @classmethod
    def models_at_once(cls, settings: EngineSettings) -> int:
        """Return how many engines of this class may run at once."""
        return 1

    @cached_property
    def context(self) -> float:
        """The tokens that prompt and response may have together; inf if a server decides."""
        path = self.model.directory / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        own = {**config, **config.get("text_config", {})}.get("max_position_embeddings")
        return min(self.settings.max_model_len, own or math.inf)

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Return whether a failed request (a row of STORED_OUTCOMES) would fail again.

        It would if the template cannot render the prompt, or the whole context was used.
        """
        if failure["engine"] is None and not failure["prompt_tokens"]:
            return True
        return failure["prompt_tokens"] + failure["completion_tokens"] >= self.context

    def set_up(self) -> None:
        """Make sure that everything needed besides the model is there. Runs in the main thread.

        Raises:
            PersynError: something is missing; the message says how to get it.
        """
        if self.library and not is_installed(self.library):
            raise PersynError(
                f"Engine {self.name} is not installed: run {self.install_hint}, or choose another "
                "engine with `--params=engine.name=transformers`."
            )

    def load(self) -> Self:
        """Load the model, if it is kept between calls of ``generate``, and return the engine."""
        return self

    def rest(self) -> bool:
        """Release what only a call needs, after it; return whether the model can stay loaded.

        The next call's answers must be those of an engine that was just loaded.
        """
        return False

    def close(self) -> None:
        """End what was loaded, before the process ends."""
        return

    def under_way(self) -> Collection[str]:
        """Return the keys of requests that were sent, maybe by an earlier run, and not answered."""
        return ()

    @abstractmethod
    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request; ``requests`` is lazy.

        The generator may be closed early; no request is started after that. A ``hosted`` engine
        may get None in place of a request: the next one does not fit into the budget until one of
        those in flight is answered. Those that are ``under_way`` come first.

        Raises:
            EngineError: as it says.
        """

    def drain(self) -> Iterator[Generation]:
        """Yield, after ``generate`` has ended, what was paid for while it was being closed."""
        yield from ()

    def kept(self) -> None:
        """Take note that all that was yielded so far is in the response store."""
        return
