"""Send a request to a hosted model, with retries until it is answered or refused."""

import random
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from persyn_kedro.domain.engines.arguments import body_of, secrets
from persyn_kedro.domain.engines.base import Generation, Request, failed
from persyn_kedro.domain.engines.concurrency import AdaptiveLimit, pause
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.key_masking import without_key
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.domain.engines.replies.reply import read_reply
from persyn_kedro.domain.engines.transport import Transport
from persyn_kedro.foundations.prompts.conversation import Prompt, messages_of
from persyn_kedro.foundations.settings.models import EndpointSettings, SamplingSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

LONGEST_ERROR = 300  # characters kept of a server's message
LONGEST_PAUSE = 60.0  # seconds between two tries, unless the server asks for more
# Text that could end a turn or change the role in the server's chat template, which is unknown here
TEMPLATE_MARKERS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|\[\|[^|\[\]\n]{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|utterance|role|text)>|<(?:bos|eos|end_of_sentence)>"
)
MARKED = "set aside: the prompt holds a chat template's marker"


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
        if not self.endpoint.allow_template_markers and _holds_marker(request.prompt):
            return failed(request, MARKED, asked=False)
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
        """Send the request once, unless ``stop`` is set."""
        if not await self.limit.acquire(self.stop):
            return None
        try:
            reply = await self._reply(request)
        finally:
            self.limit.release()
        if isinstance(reply, Answer):
            self.limit.succeeded()
            self.answered.add(request.sampling)
        elif reply.wait is not None:
            self.limit.refused(reply.wait)
        return reply

    async def _reply(self, request: Request) -> Answer | Refusal:
        reply = await self.transport.post(body_of(request, self.model.settings))
        if isinstance(reply, Refusal):
            return reply
        return read_reply(*reply, request.sampling.max_new_tokens, self.endpoint)

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
                cached_prompt_tokens=reply.cached_prompt_tokens,
            )
        stops = not (reply.unless_answered and request.sampling in self.answered)
        remedy = self._remedy(reply.remedy) if reply.remedy and stops else None
        if remedy:
            self.stop.set()
        answer = failed(request, self._told(reply.words))
        return replace(answer, unknown=unknown, remedy=remedy)

    def _told(self, words: str) -> str:
        """Return a server's message as it is stored: truncated and without keys."""
        for secret in secrets(self.endpoint):
            words = without_key(words, secret)
        return words[:LONGEST_ERROR]

    def _remedy(self, remedy: str) -> str:
        """Fill in the model and where its key is; the caller fills in the teacher."""
        name, variable = self.model.name, self.endpoint.api_key_env
        nowhere = f"models.{name}.endpoint.api_key_env, which is not set"
        key = f"the environment variable {variable}" if variable else nowhere
        return remedy.replace("{model}", name).replace("{key}", key)


def _holds_marker(prompt: Prompt) -> bool:
    return any(TEMPLATE_MARKERS.search(message.content) for message in messages_of(prompt))
