"""Generation by any OpenAI-compatible endpoint, with the official client and tenacity."""

import math
import os
import re
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Engine, Generation, Request, failed
from persyn_kedro.domain.engines.rate_limit import AdaptiveLimit
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.key_masking import without_key
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.models import (
    EndpointSettings,
    EngineSettings,
    SamplingSettings,
)

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

LONGEST_ERROR = 300  # characters of a server's words in a row
# What could end a turn or change the role in a template that we do not see.
TEMPLATE_MARKERS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|\[\|[^|\[\]\n]{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|utterance|role|text)>|<(?:bos|eos|end_of_sentence)>"
)

# By name: the client's transport is httpx or httpx2, as its version is.
NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
MARKED = "set aside: the prompt holds a chat template's marker"


class OpenAIEngine(Engine):
    """Requests to a hosted model, ``max_concurrency`` at once, by threads of this process."""

    in_child = False

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        super().__init__(model, settings, cluster)
        assert model.settings.endpoint  # noqa: S101 - the registry chose this engine for it
        self.endpoint: EndpointSettings = model.settings.endpoint
        self.name = "openai"
        self.context = math.inf  # the server's is not known
        self.in_flight = self.endpoint.max_concurrency
        self.unknown_finish_reason = self.endpoint.unknown_finish_reason
        self._late: list[Generation] = []

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Tell whether the prompt holds a marker that the settings do not let through."""
        return failure["error"] == MARKED and not self.endpoint.allow_template_markers

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield a generation for each request as it comes.

        What cannot be answered is an error row; one with a ``remedy`` is the last that was asked
        for. Closing the generator waits for the requests under way, which were paid for.
        """
        stop = threading.Event()
        client = _client(self.endpoint)
        limit = AdaptiveLimit(self.endpoint.max_concurrency)
        asker = _Asker(self.model, client, self.endpoint, limit, stop)
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
        """Yield what was under way as ``generate`` was closed."""
        while self._late:
            yield self._late.pop(0)


def _client(endpoint: EndpointSettings) -> Any:
    from openai import OpenAI

    return OpenAI(
        base_url=endpoint.url,
        api_key=_key(endpoint) or "none",
        timeout=endpoint.timeout_seconds,
        max_retries=0,  # tenacity's work: the client's own retries know no shared limit
    )


@dataclass(frozen=True)
class _Asker:
    """What the threads share."""

    model: "ResolvedModel"
    client: Any
    endpoint: EndpointSettings
    limit: AdaptiveLimit
    stop: threading.Event
    answered: set[SamplingSettings] = field(default_factory=set)

    def ask(self, request: Request) -> Generation | None:
        """Return the answer, or an error row: a final refusal, or the tries are used up.

        None if the asking was ended before the request was made.
        """
        from tenacity import (
            Retrying,
            retry_if_result,
            sleep_using_event,
            stop_after_attempt,
            stop_when_event_set,
            wait_random_exponential,
        )

        if not self.endpoint.allow_template_markers and TEMPLATE_MARKERS.search(request.prompt):
            return failed(request, MARKED, asked=False)
        replies: list[Answer | Refusal] = []
        Retrying(
            retry=retry_if_result(lambda reply: isinstance(reply, Refusal) and reply.again),
            wait=wait_random_exponential(multiplier=self.endpoint.backoff_seconds, max=60),
            stop=stop_after_attempt(self.endpoint.max_tries) | stop_when_event_set(self.stop),
            sleep=sleep_using_event(self.stop),
            retry_error_callback=lambda _: None,  # the replies say what was last
        )(self._try, request, replies)
        return self._generation(request, replies) if replies else None

    def _try(self, request: Request, replies: list[Answer | Refusal]) -> Answer | Refusal | None:
        """Ask once, unless the asking has been ended, and note the reply."""
        if not self.limit.acquire(self.stop):
            return None
        try:
            reply = self._reply(request)
        finally:
            self.limit.release()
        if isinstance(reply, Answer):
            self.limit.succeeded()
            self.answered.add(request.sampling)
        elif reply.wait is not None:
            self.limit.refused(reply.wait)
        replies.append(reply)
        return reply

    def _reply(self, request: Request) -> Answer | Refusal:
        import openai

        create = self.client.chat.completions.with_raw_response.create
        try:
            try:
                given = self.model.settings.template_arguments
                response = create(**_arguments(request, self.endpoint, given)).http_response
            except openai.APIStatusError as error:
                response = error.response
            status, headers, text = response.status_code, response.headers, response.text
        except openai.APITimeoutError as error:
            words = f"no answer within {self.endpoint.timeout_seconds:g} s"
            return Refusal(words, again=True, charged=_may_have_arrived(error))
        except Exception as error:  # cut off, or whatever a server does: the other prompts go on
            words = str(error) or type(error).__name__
            return Refusal(words, again=True, charged=_may_have_arrived(error))
        return read_reply(status, headers, text, request.sampling.max_new_tokens, self.endpoint)

    def _generation(self, request: Request, replies: list[Answer | Refusal]) -> Generation:
        """Turn the last reply into a generation. One that stops the model ends the asking."""
        reply = replies[-1]
        unknown = sum(isinstance(each, Refusal) and each.charged for each in replies)
        if isinstance(reply, Answer):
            return Generation(
                request.key,
                reply.text,
                reply.finish_reason,
                reply.prompt_tokens,
                reply.completion_tokens,
                None if reply.error is None else self._told(reply.error),
                unknown=unknown + (not reply.metered),
                unknown_reason=reply.unknown_reason,
            )
        stops = not (reply.unless_answered and request.sampling in self.answered)
        remedy = self._remedy(reply.remedy) if reply.remedy and stops else None
        if remedy:
            self.stop.set()
        answer = failed(request, self._told(reply.words))
        return replace(answer, unknown=unknown, remedy=remedy)

    def _told(self, words: str) -> str:
        """Return a server's words as they are kept: short, and without the key."""
        return without_key(words, _key(self.endpoint))[:LONGEST_ERROR]

    def _remedy(self, remedy: str) -> str:
        """Name the model and where its key is; the teacher is named by who knows it."""
        name, variable = self.model.name, self.endpoint.api_key_env
        nowhere = f"models.{name}.endpoint.api_key_env, which names no variable"
        key = f"the variable {variable}" if variable else nowhere
        return remedy.replace("{model}", name).replace("{key}", key)


def _may_have_arrived(error: BaseException | None) -> bool:
    """Tell whether the server may have had the request that ended so; if not, nothing is owed."""
    while error is not None:  # the client wraps the transport's errors
        if type(error).__name__ in NO_CONNECTION:
            return False
        error = error.__cause__
    return True


def _key(endpoint: EndpointSettings) -> str:
    return os.environ.get(endpoint.api_key_env or "", "").strip()


def _arguments(
    request: Request, endpoint: EndpointSettings, template_arguments: dict[str, Any]
) -> dict[str, Any]:
    sampling: SamplingSettings = request.sampling
    arguments: dict[str, Any] = {
        "model": endpoint.model,
        "messages": request.messages,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        endpoint.max_tokens_parameter: sampling.max_new_tokens,
    }
    if endpoint.send_seed:
        arguments["seed"] = request.seed % 2**31
    # Not part of OpenAI's own interface, but of vLLM's and llama.cpp's: sent only where set.
    extra = {"top_k": (sampling.top_k, 0), "repetition_penalty": (sampling.repetition_penalty, 1.0)}
    changed: dict[str, Any] = {
        name: value for name, (value, default) in extra.items() if value != default
    }
    if template_arguments:
        changed["chat_template_kwargs"] = template_arguments
    return {**arguments, "extra_body": changed} if changed else arguments
