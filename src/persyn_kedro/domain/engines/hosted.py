"""What all engines for hosted models share: prompts that are set aside, and replies as answers."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.engines.arguments import secrets
from persyn_kedro.domain.engines.base import Engine, Generation, Request, failed
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.key_masking import without_key
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.foundations.prompts.conversation import (
    Prompt,
    as_prompt,
    messages_of,
    with_system,
)
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.endpoint import EndpointSettings
from persyn_kedro.foundations.settings.engine import EngineSettings

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

LONGEST_ERROR = 300  # characters kept of a server's message
# Text that could end a turn or change the role in the server's chat template, which is unknown here
TEMPLATE_MARKERS = re.compile(
    r"<[|\uff5c][^|\uff5c<>\n]{1,40}[|\uff5c]>|\[\|[^|\[\]\n]{1,40}\|\]|\[/?INST\]|<</?SYS>>|</?s>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|\[gMASK\]|<sop>"
    r"|<(?:start|end)_of_(?:turn|utterance|role|text)>|<(?:bos|eos|end_of_sentence)>"
)
MARKED = "set aside: the prompt holds a chat template's marker"


class HostedEngine(Engine):
    """A model that a server runs."""

    in_child = loads_here = False
    hosted = True

    def __init__(
        self, model: "ResolvedModel", settings: EngineSettings, cluster: ClusterSettings
    ) -> None:
        super().__init__(model, settings, cluster)
        assert model.settings.endpoint  # noqa: S101 - the registry chose this engine for it
        self.endpoint: EndpointSettings = model.settings.endpoint
        self.context = math.inf  # the server's is unknown
        self.unknown_finish_reason = self.endpoint.unknown_finish_reason

    def is_final(self, failure: Mapping[str, Any]) -> bool:
        """Return whether the prompt contains a template marker and the settings do not allow it."""
        return failure["error"] == MARKED and not self.endpoint.allow_template_markers


def set_aside(request: Request, endpoint: EndpointSettings) -> Generation | None:
    """Return the error of a prompt that must not be sent, or None."""
    sent = as_prompt(with_system(request.prompt, None, request.row_system))
    if endpoint.allow_template_markers or not holds_marker(sent):
        return None
    return failed(request, MARKED, asked=False)


def generation_of(
    key: str, replies: Sequence[Answer | Refusal], model: "ResolvedModel", stops: bool = True
) -> Generation:
    """Turn the last reply to a request into a generation.

    Args:
        replies: to each try, in order.
        stops: whether a refusal that every call would get may stop the model.
    """
    endpoint = model.settings.endpoint
    assert endpoint is not None  # noqa: S101 - the model is hosted
    reply = replies[-1]
    unknown = sum(isinstance(each, Refusal) and each.charged for each in replies)
    if isinstance(reply, Answer):
        return Generation(
            key,
            reply.text,
            reply.finish_reason,
            reply.prompt_tokens,
            reply.completion_tokens,
            None if reply.error is None else told(reply.error, endpoint),
            unknown=unknown + (not reply.metered),
            unknown_reason=reply.unknown_reason,
            cached_prompt_tokens=reply.cached_prompt_tokens,
        )
    remedy = _remedy(reply.remedy, model.name, endpoint) if reply.remedy and stops else None
    error = told(reply.words, endpoint)
    return Generation(key, "", "error", 0, 0, error, unknown=unknown, remedy=remedy)


def told(words: str, endpoint: EndpointSettings) -> str:
    """Return a server's message as it is stored: truncated and without keys."""
    for secret in secrets(endpoint):
        words = without_key(words, secret)
    return words[:LONGEST_ERROR]


def _remedy(remedy: str, name: str, endpoint: EndpointSettings) -> str:
    """Fill in the model and where its key is; the caller fills in the teacher."""
    variable = endpoint.api_key_env
    nowhere = f"models.{name}.endpoint.api_key_env, which is not set"
    key = f"the environment variable {variable}" if variable else nowhere
    return remedy.replace("{model}", name).replace("{key}", key)


def holds_marker(prompt: Prompt) -> bool:
    """Return whether a message contains text that a chat template may take for a marker."""
    return any(TEMPLATE_MARKERS.search(message.content) for message in messages_of(prompt))
