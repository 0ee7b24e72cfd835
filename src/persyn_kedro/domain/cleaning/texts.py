"""What is compared of a prompt: everything that its user says."""

import re

from persyn_kedro.foundations.prompts.conversation import Prompt, messages_of

EXCERPT = 160  # characters
# Scripts without spaces between words: each of their characters is a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+")


def user_text(prompt: Prompt, suffix: str = "") -> str:
    """Return all of the user's turns, a line each, without what the settings appended to the last.

    Neither the system's message nor an assistant's earlier answers are the user's: two prompts that
    share only these are not alike, and two that differ only in these are.
    """
    said = [message.content for message in messages_of(prompt) if message.role == "user"]
    return "\n".join([*said[:-1], said[-1].removesuffix(suffix)])


def folded(text: str) -> str:
    """Return a text in lower case, with single spaces."""
    return " ".join(text.casefold().split())


def words_of(text: str) -> list[str]:
    """Return the words in lower case, without punctuation, as GPT-3's appendix C compares them."""
    return _WORD.findall(text.casefold())


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…"
