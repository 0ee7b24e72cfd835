"""Generation by any OpenAI-compatible endpoint, with the official client and tenacity."""

import logging
import os
import re
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Generation, Request, failed
from persyn_kedro.domain.engines.rate_limit import AdaptiveLimit
from persyn_kedro.foundations.settings.models import (
    EndpointSettings,
    EngineSettings,
    SamplingSettings,
)

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

RETRIED = {408, 409, 429}  # and 500 to 599; any other refusal is final
LONGEST_WAIT = 300.0  # seconds that a server may ask us to wait
# What could end a turn or change the role in a template that we do not see.
TEMPLATE_MARKERS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|\[\|[^|\[\]\n]{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|utterance|role|text)>|<(?:bos|eos|end_of_sentence)>"
)

MARKED = "set aside: the prompt holds a chat template's marker"

_logger = logging.getLogger(__name__)


class _NotAsked(Exception):
    """The run ended before the request was made."""


class _Unusable(Exception):
    """The endpoint answered with something that is no completion; asking again may help."""


def generate(
    requests: Iterable[Request],
    model: "ResolvedModel",
    engine: EngineSettings,
    late: list[Generation] | None = None,
) -> Generator[Generation, None, None]:
    """Yield a generation for each request as it comes, in no fixed order.

    What cannot be answered is an error row. Closing the generator ends it once the requests under
    way are answered, which were paid for: their answers are put into ``late``.
    """
    endpoint = model.settings.endpoint
    assert endpoint is not None  # noqa: S101 - the caller chose this engine for it
    stop = threading.Event()
    client = _client(endpoint)
    asker = _Asker(client, endpoint, AdaptiveLimit(endpoint.max_concurrency), stop)
    waiting = iter(requests)
    under_way: set[Future[Generation]] = set()
    ready: set[Future[Generation]] = set()
    pool = ThreadPoolExecutor(endpoint.max_concurrency, thread_name_prefix=f"ask {model.name}")
    try:
        while True:
            for request in waiting:
                under_way.add(pool.submit(asker.ask, request))
                if len(under_way) >= 2 * endpoint.max_concurrency:
                    break
            if not under_way:
                return
            ready, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            while ready:
                yield ready.pop().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        ended = [future.result() for future in ready | under_way if not future.cancelled()]
        if late is not None:
            late += [generation for generation in ended if generation.asked]
        client.close()


def _client(endpoint: EndpointSettings) -> Any:
    from openai import OpenAI

    key = os.environ.get(endpoint.api_key_env, "") if endpoint.api_key_env else "none"
    return OpenAI(
        base_url=endpoint.url,
        api_key=key or "none",
        timeout=endpoint.timeout_seconds,
        max_retries=0,  # tenacity's work: the client's own retries know no shared limit
    )


@dataclass(frozen=True)
class _Asker:
    """What the threads share."""

    client: Any
    endpoint: EndpointSettings
    limit: AdaptiveLimit
    stop: threading.Event

    def ask(self, request: Request) -> Generation:
        """Return the answer, or an error row: a final refusal, or the tries are used up."""
        from tenacity import (
            Retrying,
            retry_if_exception,
            sleep_using_event,
            stop_after_attempt,
            stop_when_event_set,
            wait_random_exponential,
        )

        if not self.endpoint.allow_template_markers and TEMPLATE_MARKERS.search(request.prompt):
            return failed(request, MARKED, asked=False)
        unknown = [0]
        tries = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=self.endpoint.backoff_seconds, max=60),
            stop=stop_after_attempt(self.endpoint.max_tries) | stop_when_event_set(self.stop),
            sleep=sleep_using_event(self.stop),
            reraise=True,
        )
        try:
            answer = tries(self._try, request, unknown)
        except _NotAsked as error:
            answer = failed(request, str(error), asked=False)
        except Exception as error:  # whatever a server sends, the other prompts go on
            answer = failed(request, _describe(error, self.endpoint))
        return replace(answer, unknown=answer.unknown + unknown[0])

    def _try(self, request: Request, unknown: list[int]) -> Generation:
        """Ask once. A failure that may have been charged adds to ``unknown``."""
        import openai

        if not self.limit.acquire(self.stop):
            raise _NotAsked("stopped before it was asked")
        try:
            completion = self.client.chat.completions.create(**_arguments(request, self.endpoint))
        except openai.APIStatusError as error:
            wait = error.response.headers.get("retry-after")
            if error.status_code == 429 or wait:
                self.limit.refused(_retry_after(wait))
            raise
        except Exception:  # timed out, cut off or no JSON: it may have been answered and charged
            unknown[0] += 1
            raise
        finally:
            self.limit.release()
        self.limit.succeeded()
        try:
            return _generation(request, completion)
        except _Unusable:
            unknown[0] += 1
            raise


def _arguments(request: Request, endpoint: EndpointSettings) -> dict[str, Any]:
    sampling: SamplingSettings = request.sampling
    messages = [{"role": "user", "content": request.prompt}]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    arguments: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        endpoint.max_tokens_parameter: sampling.max_new_tokens,
    }
    if endpoint.send_seed:
        arguments["seed"] = request.seed % 2**31
    # Not part of OpenAI's own interface, but of vLLM's and llama.cpp's: sent only where set.
    extra = {"top_k": (sampling.top_k, 0), "repetition_penalty": (sampling.repetition_penalty, 1.0)}
    changed = {name: value for name, (value, default) in extra.items() if value != default}
    return {**arguments, "extra_body": changed} if changed else arguments


def _generation(request: Request, completion: Any) -> Generation:
    """Turn a completion into a generation.

    Raises:
        _Unusable: it has no choice, no message or no text.
    """
    choices = getattr(completion, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise _Unusable("the endpoint answered without a choice")
    choice, usage = choices[0], completion.usage
    prompt_tokens = getattr(usage, "prompt_tokens", None)
    completion_tokens = getattr(usage, "completion_tokens", None)
    unknown = int(prompt_tokens is None or completion_tokens is None)
    tokens = (prompt_tokens or 0, completion_tokens or 0)
    refusal = getattr(choice.message, "refusal", None)
    if refusal or choice.finish_reason not in ("stop", "length"):
        why = f"refused: {refusal[:200]}" if refusal else f"finish reason {choice.finish_reason}"
        return Generation(request.key, "", "error", *tokens, why, unknown=unknown)
    text = choice.message.content or ""
    if not isinstance(text, str):
        raise _Unusable("the endpoint's answer is no text")
    thinking = next(
        filter(
            None, (getattr(choice.message, n, None) for n in ("reasoning_content", "reasoning"))
        ),
        None,
    )
    if thinking:  # a server that parses the thinking out: put it back where it was
        text = f"<think>{thinking}</think>\n{text}"
    return Generation(request.key, text, choice.finish_reason, *tokens, unknown=unknown)


def _may_pass(error: BaseException) -> bool:
    """Tell whether asking again may help."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in RETRIED or error.status_code >= 500
    # A malformed body is a ValueError of the JSON parser, or the client's own error.
    kinds = (openai.APIConnectionError, openai.APIResponseValidationError, _Unusable, ValueError)
    return isinstance(error, kinds)


def _retry_after(header: str | None) -> float:
    """Return the seconds of a Retry-After header (a number or a date), 1 without one."""
    from datetime import UTC, datetime

    if not header:
        return 1.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 1.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _describe(error: Exception, endpoint: EndpointSettings) -> str:
    """Return what happened in a few words, never with the key."""
    import openai

    if isinstance(error, openai.APIStatusError):
        text = f"HTTP {error.status_code}: {error.message}"
    elif isinstance(error, openai.APITimeoutError):
        text = f"no answer within {endpoint.timeout_seconds:g} s"
    elif isinstance(error, ValueError):
        text = "the endpoint's answer is not JSON"
    else:
        text = str(error) or type(error).__name__
    key = os.environ.get(endpoint.api_key_env or "", "")
    return (text.replace(key, "***") if key else text)[:300]
