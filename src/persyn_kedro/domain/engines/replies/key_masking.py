"""Mask API keys in messages: servers echo them in full, truncated, or with asterisks."""

import re

MASK = "***"
LONG = 8  # this many consecutive characters of a key are masked anywhere
SHORT = 4  # this many are masked as a separate word, as in "the key that ends in wxyz"

_STARS = (  # in lower case
    r"[*\u2022\u2026#]+|\.{2,}|x{4,}|[\[<({](?:redacted|masked|hidden|removed|filtered)[\])>}]"
    r"|redacted"
)
_STARRED = re.compile(rf"[\w\-./+=]*?(?:(?:{_STARS})[\w\-/+=]*)+", re.I)
_WORD = re.compile(r"[A-Za-z0-9]+(?:[-_.]+[A-Za-z0-9]+)*")
_PART = re.compile(r"[A-Za-z0-9]+")


def without_key(text: str, key: str) -> str:
    """Return ``text`` with ``***`` for every part of ``key`` that is not likely a plain word.

    These are any ``LONG`` consecutive characters of it; any ``SHORT`` that are a whole word, or all
    that is between ``-``, ``_`` and ``.``; and what is next to asterisks or a word for them
    (``sk-ab****yz``, ``[REDACTED]xyz``): 3 characters, or 2 at the beginning or end of the key.
    """
    key = _lower(key)
    if len(key) < SHORT:
        return text
    text = _cover(text, key, min(LONG, len(key)))
    text = _STARRED.sub(lambda found: _starred(found[0], key), text)
    return _WORD.sub(lambda found: _word(found[0], key), text)


def _cover(text: str, key: str, size: int) -> str:
    """Mask each run of characters in which any ``size`` consecutive ones are part of the key."""
    pieces = {key[start : start + size] for start in range(len(key) - size + 1)}
    low, told, start, end = _lower(text), [], 0, 0
    for place in range(len(low) - size + 1):
        if low[place : place + size] in pieces:
            if place >= end:
                told += [text[start:place], MASK]
            start = end = place + size
    return "".join([*told, text[start:]])


def _starred(text: str, key: str) -> str:
    parts = [part.strip("-_./") for part in re.split(_STARS, _lower(text))]
    ends = any(len(part) > 1 and (key.startswith(part) or key.endswith(part)) for part in parts)
    return MASK if ends or any(len(part) > 2 and part in key for part in parts) else text


def _word(text: str, key: str) -> str:
    """Mask a word that is part of the key, otherwise those of its parts that are."""
    if _is_part(text, key):
        return MASK
    return _PART.sub(lambda found: MASK if _is_part(found[0], key) else found[0], text)


def _is_part(text: str, key: str) -> bool:
    return len(text) >= SHORT and _lower(text) in key


def _lower(text: str) -> str:
    """Lowercase only ASCII, so that positions do not change."""
    return "".join(c.lower() if c.isascii() else c for c in text)
