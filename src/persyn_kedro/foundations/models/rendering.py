"""Token ids of a prompt and its response, the same in scoring, fine-tuning and generation.

The ids are the rendered prompt, the response tokenised separately, and the end-of-turn token
(METHOD.md, section 1). Only the template adds special tokens: a ``<|im_end|>`` that a user, a
teacher or an earlier turn wrote stays text. Tokenizers come from ``load.load_tokenizer``: their
templates have date and arguments fixed (``templates.fixed_template``), so that ids are a function
of the messages.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Message, Prompt, as_rows, with_system
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.templates.base import BASE_TEMPLATE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What else an expression in a template may raise.
_TEMPLATE_FAULTS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")  # in the repr of an object without its own
_SHOWN = 6  # roles in an error


@dataclass(frozen=True)
class Rendered:
    """Token ids in three parts; the loss covers only the last two."""

    prompt_ids: list[int]
    response_ids: list[int]
    end_ids: list[int]

    @property
    def input_ids(self) -> list[int]:
        """All ids, in order."""
        return self.prompt_ids + self.response_ids + self.end_ids

    @property
    def completion_mask(self) -> list[int]:
        """0 for each prompt token, 1 for each token of the response and the end of turn."""
        return [0] * len(self.prompt_ids) + [1] * (len(self.response_ids) + len(self.end_ids))


def render(
    tokenizer: "PreTrainedTokenizerBase", system: str | None, prompt: Prompt, response: str
) -> Rendered:
    """Return the ids of one prompt with its response.

    With ``system`` None no system message is sent, so that the template's own default applies. A
    conversation's own system message is sent too, before ``system``.

    Raises:
        PersynError: the template refuses the messages or rewrites their text.
    """
    return Rendered(
        prompt_ids=render_prompt(tokenizer, system, prompt),
        response_ids=_text_ids(tokenizer, response),
        end_ids=end_of_turn_ids(tokenizer),
    )


def render_prompt(
    tokenizer: "PreTrainedTokenizerBase", system: str | None, prompt: Prompt
) -> list[int]:
    """As ``render_messages``, with the system messages that ``render`` sends."""
    return render_messages(tokenizer, with_system(prompt, system, "row_first"))


def render_messages(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> list[int]:
    """Return the ids up to where the assistant's answer begins.

    Messages without the text of a special token are tokenised in one piece, as chat servers do.
    Where one has such a text, they are tokenised in pieces: the template's parts, and each
    message's text with special tokens split.

    Raises:
        PersynError: as for ``render``, or they render to nothing.
    """
    rendered = _apply_template(tokenizer, messages, generation_prompt=True)
    # Joined: a template may print one text right behind another.
    if _holds_special(tokenizer, "".join(message.content for message in messages)):
        ids = [i for piece in _pieces(tokenizer, messages, rendered) for i in piece]
    else:
        ids = _template_ids(tokenizer, rendered)
    if not ids:
        raise PersynError("The chat template renders a prompt to no tokens.")
    return ids


def closing_ids(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids of everything that the template puts after an assistant's answer."""
    user, assistant = _sentinels((Message("user", ""), Message("assistant", "")))
    rendered = _apply_template(tokenizer, (user, assistant), generation_prompt=False)
    _, found, tail = rendered.rpartition(assistant.content)
    if not found:
        raise PersynError("The chat template omits the assistant's message.")
    return _template_ids(tokenizer, tail)


def end_of_turn_ids(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the single id that ends an answer.

    It is the first special token that the template puts after an answer (``<|im_end|>`` for
    ChatML), or else the tokenizer's end-of-text token.

    Raises:
        PersynError: there is neither.
    """
    special = _special_tokens(tokenizer)
    for token_id in closing_ids(tokenizer):
        if token_id in special:
            return [token_id]
    if tokenizer.eos_token_id is None:
        raise PersynError("The tokenizer has neither an end-of-turn nor an end-of-text token.")
    return [tokenizer.eos_token_id]


def reading(response: str, think: Think) -> Think:
    """Return ``think`` if it changes the text, else ``keep``: scores are stored under this."""
    return think if visible_text(response, think) != response else "keep"


def visible_text(response: str, think: Think) -> str:
    """Return ``response``, without its thinking if ``think`` is ``strip``.

    ``think`` is the setting of the model that wrote the response. Scoring, fine-tuning and answer
    checking see only this text.

    Thinking is every ``<think>…</think>``, everything before a ``</think>`` that the prompt opened,
    and everything after a ``<think>`` that truncation left open.
    """
    if think == "keep" or not re.search(r"</?think>", response):
        return response
    head, end, tail = response.rpartition("</think>")  # only up to there can thinking be closed
    text = re.sub(r"<think>.*?</think>", "", head + end, flags=re.DOTALL) + tail
    text = text.rpartition("</think>")[2]
    return text.partition("<think>")[0].strip()


def show_mask(tokenizer: "PreTrainedTokenizerBase", rendered: Rendered) -> str:
    """Return the decoded ids in ANSI colours: prompt grey, response green, end of turn red."""
    parts = (
        ("90", rendered.prompt_ids),
        ("32", rendered.response_ids),
        ("1;31", rendered.end_ids),
    )
    return "".join(f"\x1b[{colour}m{tokenizer.decode(ids)}\x1b[0m" for colour, ids in parts if ids)


def _sentinels(messages: Sequence[Message]) -> list[Message]:
    """Return the same roles with texts that a template prints as they are, each another one."""
    return [
        Message(message.role, f"persyn{message.role}{place}sentinel7391")
        for place, message in enumerate(messages)
    ]


def _apply_template(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], generation_prompt: bool
) -> str:
    from jinja2 import TemplateError

    several = len(messages) > _SHOWN
    roles = ", ".join(message.role for message in messages[:_SHOWN]) + (", …" if several else "")
    if (tokenizer.chat_template or BASE_TEMPLATE).endswith(BASE_TEMPLATE):
        _check_turns(tokenizer, messages, roles)
    try:
        rendered = tokenizer.apply_chat_template(
            as_rows(messages),
            chat_template=None if tokenizer.chat_template else BASE_TEMPLATE,
            add_generation_prompt=generation_prompt,
            tokenize=False,
        )
    except (TemplateError, *_TEMPLATE_FAULTS) as error:
        raise PersynError(f"The chat template rejects messages of {roles}: {error}") from error
    for address in _ADDRESS.findall(rendered):
        if not any(address in message.content for message in messages):
            raise PersynError(
                f"The chat template prints an object's memory address, which differs in every run, "
                f"for messages of {roles}."
            )
    return rendered


def _pieces(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], rendered: str
) -> Iterator[list[int]]:
    """Yield the ids of each part of the template and of each text between them."""
    sentinels = _sentinels(messages)
    skeleton = _apply_template(tokenizer, sentinels, generation_prompt=True)
    texts = {s.content: m.content for s, m in zip(sentinels, messages, strict=True)}
    pieces = re.split(f"({'|'.join(texts)})", skeleton)
    for piece, text in zip(pieces, _as_rendered(pieces, texts, rendered), strict=True):
        if piece in texts:
            yield _text_ids(tokenizer, text)
        elif piece:
            yield _template_ids(tokenizer, piece)


def _as_rendered(pieces: list[str], texts: dict[str, str], rendered: str) -> list[str]:
    """Return what the template prints for each piece, a sentinel of ``texts`` or a part of its own.

    It prints a text unchanged, or with whitespace stripped.
    """
    found: dict[int, list[str]] = {0: []}  # by where in ``rendered`` they end
    for piece in pieces:
        text = texts.get(piece, piece)
        choices = (text, text.strip()) if piece in texts else (text,)
        ends: dict[int, list[str]] = {}
        for start, before in found.items():
            for choice in choices:
                if rendered.startswith(choice, start):
                    ends.setdefault(start + len(choice), [*before, choice])
        found = ends
    if len(rendered) in found:
        return found[len(rendered)]
    raise PersynError(
        "The chat template rewrites a message that contains the text of a special token, "
        "so it cannot be kept as text."
    )


def _check_turns(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message], roles: str
) -> None:
    """Refuse turns that ``BASE_TEMPLATE`` cannot tell apart: an answer alone ends with a token.

    Raises:
        PersynError: names the roles.
    """
    turns = [message.role for message in messages if message.role != "system"]
    alternate = turns == ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    if not alternate or (len(turns) > 2 and tokenizer.eos_token is None):
        raise PersynError(
            f"A model without a chat template cannot be given messages of {roles}: user and "
            "assistant must take turns, and an end-of-text token end an answer. Set the model's "
            "chat_template, or leave such rows out."
        )


def _special_tokens(tokenizer: "PreTrainedTokenizerBase") -> dict[int, str]:
    added = tokenizer.added_tokens_decoder.items()
    special = {token_id: str(token) for token_id, token in added if token.special}
    return special | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))


def _holds_special(tokenizer: "PreTrainedTokenizerBase", text: str) -> bool:
    return any(token in text for token in _special_tokens(tokenizer).values())


def _template_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _text_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
    return list(encoded["input_ids"])
