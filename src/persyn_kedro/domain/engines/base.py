"""The contract of all engines: requests in, generations out, in no fixed order."""

import importlib.util
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.models import EngineSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Request:
    """One response wanted. ``seed`` is the request's own, so that order does not matter."""

    key: str
    prompt: str
    system: str | None
    sampling: SamplingSettings
    seed: int

    @property
    def messages(self) -> list[dict[str, str]]:
        """What the model is told, as chat messages of role and content."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": self.prompt}]


@dataclass(frozen=True)
class Generation:
    """What came back: ``finish_reason`` is stop, length or error, ``error`` null unless it is.

    ``completion_tokens`` counts all tokens generated, with the one that ended the turn. ``asked``
    is False where the prompt was set aside before the model saw it. ``unknown`` counts tries that
    may have been charged although nothing says how much. ``remedy``, beside an ``error``, says what
    to do where every other request would fail too, and stops the model; ``{teacher}`` in it stands
    for the teacher's name. ``unknown_reason`` is a server's own word for how the response ended
    where nobody knows it: ``finish_reason`` is then what the settings take it for.
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


def failed(request: Request, error: str, prompt_tokens: int = 0, asked: bool = True) -> Generation:
    """Return the generation of a request that got no response."""
    return Generation(request.key, "", "error", prompt_tokens, 0, error, asked)


class Engine(ABC):
    """What runs one model: a local one, one on a Ray cluster, a hosted one, or the user's own.

    It is cheap to make, loads nothing before it is asked, and is pickled to the process it runs in.

    Attributes:
        in_child: whether it runs in a process of its own, whose memory is all returned after it;
            else, needing none, it runs in the caller's.
        in_flight: the most responses that may be paid for and not yet yielded.
        library: the module that it cannot run without, with ``install_hint``, how to install it.
        unknown_finish_reason: what a finish reason that nobody knows counts as, stop or length;
            None where there can be none.
    """

    in_child: bool = True
    in_flight: int = 0
    library: str | None = None
    install_hint: str = ""
    unknown_finish_reason: str | None = None

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        self.model, self.settings, self.cluster = model, settings, cluster
        self.name = settings.name  # as it is recorded beside its responses

    @classmethod
    def environment(cls, settings: EngineSettings) -> dict[str, str]:
        """Return variables of the child's environment, set before any library is imported."""
        return {}

    @classmethod
    def models_at_once(cls, settings: EngineSettings) -> int:
        """Return how many engines of this class may run at a time."""
        return 1

    @cached_property
    def context(self) -> float:
        """The tokens that prompt and response may have together; inf where a server decides."""
        path = self.model.directory / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        own = {**config, **config.get("text_config", {})}.get("max_position_embeddings")
        return min(self.settings.max_model_len, own or math.inf)

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Tell whether a request that failed, a row of STORED_OUTCOMES, would fail again.

        So it is where the template cannot render the prompt, or all of the context was used.
        """
        if failure["engine"] is None and not failure["prompt_tokens"]:
            return True
        return failure["prompt_tokens"] + failure["completion_tokens"] >= self.context

    def set_up(self) -> None:
        """Make sure of all that it needs beside the model. Called in the run's main thread.

        Raises:
            PersynError: it is not here, and how to get it.
        """
        if self.library and importlib.util.find_spec(self.library) is None:
            raise PersynError(
                f"Engine {self.name} is not installed: {self.install_hint}, or run with "
                "`--params=engine.name=transformers`."
            )

    def load(self) -> Self:
        """Return it with its model loaded, where that is kept from one ``generate`` to the next."""
        return self

    @abstractmethod
    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request; ``requests`` are made as they are gone through.

        The generator may be closed before its end. No request is begun after that.
        """

    def drain(self) -> Iterator[Generation]:
        """Yield, once ``generate`` has ended, what was paid for while it was being closed."""
        yield from ()
