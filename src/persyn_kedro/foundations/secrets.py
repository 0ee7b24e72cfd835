"""What must not be written down: credentials in URLs, and the values of a job's variables."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

HIDDEN = "***"
VARIABLES = "env_vars"  # cluster.runtime_env's, which often hold keys

# The scheme's length is bounded: a long text without "://" would be read again from each letter.
_URL = re.compile(r"[a-z][a-z0-9+.\-]{0,30}://[^\s'\"<>]+", re.I)
_LOGIN = re.compile(r"(?<=://)[^/?#]*(?=@)")  # up to the last @ before the path
_SIGNED = re.compile(
    r"([?&][\w.\-]*(?:key|token|secret|sig|signature|password|passwd|pwd|auth|credential)=)[^&#]+",
    re.I,
)


def without_credentials(text: str) -> str:
    """Return a text with ``***`` for each login, key, token and signature in its URLs."""
    return _URL.sub(lambda found: _hidden(found[0]), text)


def _hidden(url: str) -> str:
    return _SIGNED.sub(rf"\g<1>{HIDDEN}", _LOGIN.sub(HIDDEN, url))


def hide(value: Any) -> Any:
    """Return settings, or a document, as they may be written: also without variables' values."""
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return _renamed(
            without_credentials,
            {
                name: dict.fromkeys(inner, HIDDEN)
                if name == VARIABLES and isinstance(inner, Mapping)
                else hide(inner)
                for name, inner in value.items()
            },
        )
    return [hide(item) for item in value] if isinstance(value, (list, tuple)) else value


def hide_in_urls(value: Any) -> Any:
    """Return a record without credentials in what is a URL as a whole, such as a file's.

    In no other text, which is an identity: two that differed there alone would become one.
    """
    if isinstance(value, str):
        return _if_url(value)
    if isinstance(value, Mapping):
        return _renamed(_if_url, {name: hide_in_urls(inner) for name, inner in value.items()})
    return [hide_in_urls(item) for item in value] if isinstance(value, (list, tuple)) else value


def _if_url(text: str) -> str:
    return _hidden(text) if _URL.fullmatch(text) else text


def _renamed(how: Callable[[str], str], found: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a mapping, whose keys may be URLs too, with other keys; none replaces another."""
    renamed: dict[Any, Any] = {}
    for name, inner in found.items():
        own = how(name) if isinstance(name, str) else name
        while own in renamed:
            own += "'"
        renamed[own] = inner
    return renamed


def login_of(url: str) -> tuple[str, str | None, str | None]:
    """Return a server's URL without its login, and user and password (percent-encoded), if any.

    A database's keeps it: there is no other way to hand it on.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url, None, None
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return (address, parts.username, parts.password) if "@" in parts.netloc else (url, None, None)


class _Hiding(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        try:
            said = record.getMessage()
        except Exception:  # a library's own mistake, which the handler tells without raising
            return True
        if "://" in said:
            record.msg, record.args = without_credentials(said), None
        return True


_hiding = _Hiding()


def hide_in_messages() -> None:
    """Have the root logger's handlers, which ``logging.yml`` names, show no credentials.

    Kedro allows no filter of one's own in that file.
    """
    for handler in logging.getLogger().handlers:
        handler.addFilter(_hiding)  # once
