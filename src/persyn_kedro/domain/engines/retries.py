"""Send a request to a hosted model, with tenacity's retries until it is answered or refused."""

import os
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Generation, Request, failed
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.key_masking import without_key
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.foundations.prompts.conversation import Prompt, messages_of
from persyn_kedro.foundations.settings.models import EndpointSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

LONGEST_ERROR = 300  # characters kept of a server's message
# Text that could end a turn or change the role in the server's chat template, which is unknown here
TEMPLATE_MARKERS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|\[\|[^|\[\]\n]{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|utterance|role|text)>|<(?:bos|eos|end_of_sentence)>"
)

# By name: the client's transport is httpx or httpx2, depending on its version.
NO_CONNECTION = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
MARKED = "set aside: the prompt holds a chat template's marker"


@dataclass(frozen=True)
class Asker:
    """Sends requests to one hosted model; shared by all threads."""

    model: "ResolvedModel"
    client: Any
    endpoint: EndpointSettings
    limit: AdaptiveLimit
    stop: threading.Event
    answered: set[SamplingSettings] = field(default_factory=set)

    def ask(self, request: Request) -> Generation | None:
        """Return the answer, or an error after a final refusal or the last try.

        None if ``stop`` was set before the request was sent.
        """
        from tenacity import (
            Retrying,
            retry_if_result,
            sleep_using_event,
            stop_after_attempt,
            stop_when_event_set,
            wait_random_exponential,
        )

        if not self.endpoint.allow_template_markers and _holds_marker(request.prompt):
            return failed(request, MARKED, asked=False)
        replies: list[Answer | Refusal] = []
        Retrying(
            retry=retry_if_result(lambda reply: isinstance(reply, Refusal) and reply.again),
            wait=wait_random_exponential(multiplier=self.endpoint.backoff_seconds, max=60),
            stop=stop_after_attempt(self.endpoint.max_tries) | stop_when_event_set(self.stop),
            sleep=sleep_using_event(self.stop),
            retry_error_callback=lambda _: None,  # `replies` has the last one
        )(self._try, request, replies)
        return self._generation(request, replies) if replies else None

    def _try(self, request: Request, replies: list[Answer | Refusal]) -> Answer | Refusal | None:
        """Send the request once, unless ``stop`` is set, and append the reply to ``replies``."""
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
        except Exception as error:  # whatever a server does, the other prompts continue
            words = str(error) or type(error).__name__
            return Refusal(words, again=True, charged=_may_have_arrived(error))
        return read_reply(status, headers, text, request.sampling.max_new_tokens, self.endpoint)

    def _generation(self, request: Request, replies: list[Answer | Refusal]) -> Generation:
        """Turn the last reply into a generation; set ``stop`` if it stops the model."""
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
        """Return a server's message as it is stored: truncated and without the key."""
        return without_key(words, api_key(self.endpoint))[:LONGEST_ERROR]

    def _remedy(self, remedy: str) -> str:
        """Fill in the model and where its key is; the caller fills in the teacher."""
        name, variable = self.model.name, self.endpoint.api_key_env
        nowhere = f"models.{name}.endpoint.api_key_env, which is not set"
        key = f"the environment variable {variable}" if variable else nowhere
        return remedy.replace("{model}", name).replace("{key}", key)


def _holds_marker(prompt: Prompt) -> bool:
    return any(TEMPLATE_MARKERS.search(message.content) for message in messages_of(prompt))


def _may_have_arrived(error: BaseException | None) -> bool:
    """Return whether the server may have received the request; if not, it is not charged."""
    while error is not None:  # the client wraps the transport's errors
        if type(error).__name__ in NO_CONNECTION:
            return False
        error = error.__cause__
    return True


def api_key(endpoint: EndpointSettings) -> str:
    """Return the key of an endpoint, from the environment; empty if there is none."""
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
    # Not in OpenAI's own API, but in vLLM's and llama.cpp's: sent only if changed.
    extra = {"top_k": (sampling.top_k, 0), "repetition_penalty": (sampling.repetition_penalty, 1.0)}
    changed: dict[str, Any] = {
        name: value for name, (value, default) in extra.items() if value != default
    }
    if template_arguments:
        changed["chat_template_kwargs"] = template_arguments
    return {**arguments, "extra_body": changed} if changed else arguments
