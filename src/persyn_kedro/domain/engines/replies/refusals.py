"""What a server's refusal means: retry, give up on this prompt, or stop the teacher.

``remedy`` has the placeholders {teacher} and {model}, their names in the settings, and {key}, where
the key is.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from persyn_kedro.domain.engines.replies.server_words import Words

SENT = (
    "temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "max_completion_tokens",
    "max_new_tokens", "seed", "chat_template_kwargs", "system",
)  # fmt: skip
_NAMES = [name for name in SENT if name != "system"]
AGAIN = {408, 409, 425, 429}  # and 500 to 599

_SAMPLING = "teachers.{teacher}.sampling."
_LONGEST = f"change {_SAMPLING}max_new_tokens"
_ENDPOINT = "models.{model}.endpoint."
_KEY = "check the key in {key}"
_CREDIT = "add credit to the account that the key in {key} belongs to, or raise its limit"
_MODEL = f"check {_ENDPOINT}model, and that {_ENDPOINT}url has the server's path (usually /v1)"


@dataclass(frozen=True)
class Refusal:
    """A reply without an answer.

    Attributes:
        words: what happened, including the server's message.
        again: a retry may help.
        remedy: what to do if every call of the teacher will be refused; None if not.
        unless_answered: ``remedy`` applies only if no call with the same settings was answered.
        wait: the seconds that the server asked to wait; None if it did not.
        charged: it may have been charged although there is no answer.
    """

    words: str
    again: bool = False
    remedy: str | None = None
    unless_answered: bool = False
    wait: float | None = None
    charged: bool = False


_EMPTY_CODES = re.compile(
    r"insufficient_(?:user_)?(?:quota|balance|credits?|funds)|billing_(?:hard|soft)_limit_reached"
    r"|billing_not_active|credits?_exhausted|quota_exhausted|payment_required|arrearage"
    r"|exceeded_current_quota(?:_error)?|account_deactivated|.*freetieronly"
)
_EMPTY = re.compile(
    r"insufficient (?:account )?(?:quota|balance|credits?|funds)|(?:credit|account) balance"
    r"|exceeded your (?:current|monthly) (?:quota|included credits|spend)"
    r"|quota (?:has been|is|was) (?:exhausted|used up)|billing hard limit|billing is not active"
    r"|(?:out of|not enough|requires? more|no) credits?\b|account is in good standing"
    r"|reached your specified api usage limits|free tier .{0,60}exhausted",
    re.I,
)
_COMES_BACK = re.compile(r"(?:try(?: it)? again|retry|available|wait)\b.{0,20}? \d", re.I)
_BAD_KEY = re.compile(
    r"(?:invalid|incorrect|wrong|missing|expired) api[ _-]?key"
    r"|api[ _-]?key .{0,60}?(?:not valid|invalid|not found|expired|missing)|no api[ _-]?key",
    re.I,
)
_BAD_KEY_CODES = re.compile(r"invalid_(?:api_)?key|api_key_invalid|authentication_error")
_NO_MODEL = re.compile(
    r"model\b[^.]{0,120}?\b(?:does not exist|not exist|not found|decommissioned|deprecated and)"
    r"|not a valid model|invalid model|unknown model|no such model",
    re.I | re.S,
)
_NO_MODEL_CODES = re.compile(
    r"model_(?:not_found|decommissioned|not_available|not_exist\w*)|modelnotfound|invalid_model"
    r"|model_not_supported"
)
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size)|max_model_len|too many (?:input |prompt )?tokens"
    r"|(?:prompt|input|request|message)s? (?:is|are) too (?:long|large)|reduce the length"
    r"|input (?:tokens|length)|prompt contains|longer than the|`?inputs`? tokens|string too long",
    re.I,
)
_CONTEXT_CODES = re.compile(
    r"context_length_exceeded|string_above_max_length|exceed_context_size.*"
)
_POLICY = re.compile(
    r"content[ _](?:management )?(?:policy|filter)|usage polic|safety|moderation|flagged"
    r"|inappropriate|sensitive content|responsible ?ai",
    re.I,
)
_POLICY_CODES = re.compile(r"content_(?:filter|policy)\w*|data_inspection_failed|moderation\w*")
_REFUSES = re.compile(
    r"not (?:be |an? )?(?:support|permit|allow|accept|valid|recogni[sz]ed|enabled)|unsupported"
    r"|invalid|unrecogni[sz]ed|unexpected|unknown|extra|must|should|cannot|can't|out of range|range"
    r"|too (?:large|big|high|small|low)|less than|greater than|deprecated|at most|at least|exceed"
    r"|does ?n.t support|only|maximum",
    re.I,
)
_QUOTED = re.compile(rf"['\"`]({'|'.join(_NAMES)})['\"`]")
_UNLIKE_WORDS = re.compile(rf"\b({'|'.join(name for name in _NAMES if '_' in name)})\b")
# A plain word may be quoted from a prompt: matched only as what is refused, or as a subject.
_PLAIN_WORD = re.compile(
    r"(?:^|[.:;,]\s+|(?:support|unsupported|invalid|unknown|unrecogni[sz]ed|unexpected|only"
    r"|parameter|argument|field|property|expected|value (?:of|for))s?:?\s+)(?:(?:the|sampling)\s+)*"
    r"(seed|temperature)(?=\s*(?:$|[^\w\s]|\d)|\s+(?:is|are|was|must|should|can|cannot|does|has|not"
    r"|out|too|exceeds|value|parameter|argument|field|and|or|for|with|to)\b)",
    re.I | re.M,
)
_SYSTEM = re.compile(
    r"system (?:role|message|prompt|instruction)s?\b.{0,40}\bnot (?:be )?(?:support|enabled|allow)"
    r"|role['\"`]? does not support ['\"`]?system"
    r"|(?:developer|system) instruction is not enabled|(?:no|without) system role",
    re.I,
)
# Anthropic: of the two, the temperature is usually the one that was chosen.
_NOT_BOTH = re.compile(r"temperature\W+and\W+top_p\W+cannot both", re.I)
# Groq: about the setting, not the prompt.
_TOO_MANY = re.compile(r"maximum value for ['\"`]?max_", re.I)
_INSTEAD = re.compile(r"use ['\"`]?(max_completion_tokens|max_tokens)['\"`]? instead", re.I)


def refusal_of(status: int | None, words: Words, extra: Collection[str] = ()) -> Refusal:
    """Return what a reply with this status (HTTP's, or by its error code) and message means.

    Args:
        status: None for an error within HTTP 200 that has no code; it counts as a 500.
        extra: the names in the endpoint's ``extra_body``.
    """
    told = f"HTTP {status or 200}: {words.message}"
    status = status or 500
    if status == 402 or (status >= 400 and _is_empty(status, words)):
        return Refusal(told, remedy=_CREDIT)
    if status in AGAIN or status >= 500:
        return Refusal(told, again=True, wait=1.0 if status == 429 else None)
    about_prompt = words.says(_POLICY, _POLICY_CODES) or _is_too_long(words)
    if status == 401 or (400 <= status < 500 and words.says(_BAD_KEY, _BAD_KEY_CODES)):
        return Refusal(told, remedy=_KEY)
    if about_prompt or status == 413:
        return Refusal(told)
    if status == 403:  # a page instead of JSON may come from a firewall that blocked the prompt
        remedy = f"check the permissions of the key in {{key}}, and {_ENDPOINT}model"
        return Refusal(told, remedy=remedy, unless_answered=words.page)
    if status in (404, 405, 410) or words.says(_NO_MODEL, _NO_MODEL_CODES):
        return Refusal(told, remedy=_MODEL)
    setting = _setting(words, extra) if status in (400, 422) else None
    return Refusal(told, remedy=setting, unless_answered=True)


def web_page(words: Words) -> Refusal:
    """Return the refusal for a web page instead of a completion."""
    told = f"a web page instead of an answer: {words.message}"
    return Refusal(told, again=True, remedy=_MODEL, unless_answered=True)


def too_long(refusal: Refusal, told: str) -> Refusal:
    """Return the refusal for a server that asks to wait longer than the settings allow."""
    remedy = f"run the same command again then, or raise {_ENDPOINT}max_retry_after_seconds"
    return Refusal(f"the server asks to retry {told}: {refusal.words}", remedy=remedy)


def _is_empty(status: int, words: Words) -> bool:
    """Return whether the account is out of credit, not merely rate-limited for a while."""
    comes_back = words.comes_back or words.says(_COMES_BACK)
    if words.says(None, _EMPTY_CODES):
        return status < 500 or not comes_back
    return words.says(_EMPTY) and not comes_back


def _is_too_long(words: Words) -> bool:
    return words.says(_CONTEXT, _CONTEXT_CODES) and not words.says(_TOO_MANY)


def _setting(words: Words, extra: Collection[str]) -> str | None:
    """Return what to do about a rejected parameter; None if no parameter was rejected."""
    if words.parameter not in SENT:
        for name in extra:
            if words.parameter == name or _is_refused(name, words):
                return f"change or remove {name} in {_ENDPOINT}extra_body"
    if words.says(_SYSTEM):
        return "remove teachers.{teacher}.system: the model does not accept a system message"
    if words.parameter == "model":
        return _MODEL
    if (words.parameter or "").startswith(("messages", "prompt", "input", "contents")):
        return None
    refused = words.parameter if words.parameter in SENT else _named(words.message)
    if refused is None:
        return None
    if refused in ("max_tokens", "max_completion_tokens"):
        return _most_tokens(refused, words)
    return {
        "max_new_tokens": _LONGEST,
        "seed": f"set {_SAMPLING}seed: null, which sends none",
        "chat_template_kwargs": "remove models.{model}.template_arguments",
        "system": "remove teachers.{teacher}.system",
    }.get(refused, f"set {_SAMPLING}{refused}: null, which sends none, or change it")


def _is_refused(name: str, words: Words) -> bool:
    """Tell whether a message rejects this name: in quotes, or with an underscore in it."""
    quoted, plain = rf"['\"`]{re.escape(name)}['\"`]", rf"\b{re.escape(name)}\b"
    found = re.search(f"{quoted}|{plain}" if "_" in name else quoted, words.message)
    return bool(found and _REFUSES.search(words.message))


def _named(message: str) -> str | None:
    """Return the parameter that a message rejects, preferably a quoted one."""
    if _NOT_BOTH.search(message):
        return "top_p"
    if not _REFUSES.search(message):
        return None
    each = (pattern.search(message) for pattern in (_QUOTED, _UNLIKE_WORDS, _PLAIN_WORD))
    return next((found[1].lower() for found in each if found), None)


def _most_tokens(name: str, words: Words) -> str:
    """Return what to do about a token limit that is unknown to the server, or too large for it."""
    instead = _INSTEAD.search(words.message)
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[name]
    unknown = re.compile(r"not support|unsupported|unrecogni|unknown|unexpected|extra|permit", re.I)
    too_large = re.compile(r"large|at most|less than|exceed|range|<=|maximum", re.I)
    if instead or (words.says(unknown) and not words.says(too_large)):
        use = instead[1].lower() if instead else other
        return f"set {_ENDPOINT}max_tokens_parameter: {use}"
    return _LONGEST
