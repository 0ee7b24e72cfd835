"""Content hashes: identities of prompts and settings, and stable seeded draws."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any


def text_id(text: str) -> str:
    """Return the 32 hex digits that identify ``text`` (first half of its UTF-8 SHA-256)."""
    return data_id(text.encode())


def data_id(data: bytes) -> str:
    """Return the 32 hex digits that identify ``data``."""
    return hashlib.sha256(data).hexdigest()[:32]


def is_unicode(text: str) -> bool:
    """Return whether a text is free of lone surrogates, which no file can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_unicode(text: str) -> str:
    """Return ``text`` with U+FFFD in place of each lone surrogate."""
    return text if is_unicode(text) else re.sub("[\ud800-\udfff]", "\ufffd", text)


def settings_id(settings: Mapping[str, Any]) -> str:
    """Return the 32 hex digits that identify a JSON-able mapping, in any key order."""
    return text_id(json.dumps(settings, sort_keys=True, ensure_ascii=False))


def unit_draw(seed: int, purpose: str, item_id: str) -> float:
    """Return a number in [0, 1) that depends on seed, purpose and item only.

    Adding other items does not change it, so splits stay stable as prompts are added.
    """
    digest = hashlib.sha256(f"{seed}:{purpose}:{item_id}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def seed_for(seed: int, purpose: str, item_id: str) -> int:
    """Return an item's own 31-bit seed, for sampling that does not depend on order."""
    return int(unit_draw(seed, purpose, item_id) * 2**31)
