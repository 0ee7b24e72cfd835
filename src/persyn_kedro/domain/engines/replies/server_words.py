"""Read an error in any of the formats that servers use: message, codes and parameter."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Where servers put an error: OpenAI, Cloudflare, FastAPI, Alibaba, vLLM and MiniMax
ERRORS = ("error", "errors", "detail", "message", "msg", "base_resp")
READ = 2000  # characters of a message that are read

# Error codes in words, and the HTTP status that each stands for.
_STATUS = (
    (402, r"insufficient_(?:quota|balance|credits?|funds)|payment_required|billing\w*"),
    (401, r"authentication\w*|invalid_api_key|unauthori[sz]ed|unauthenticated"),
    (403, r"permission\w*|forbidden"),
    (404, r"not_found\w*|model_not_found"),
    (429, r"rate_?limit\w*|too_many_requests|resource_exhausted|throttl\w*"),
    (400, r"invalid_request\w*|bad_?request\w*|invalid_argument|context_length\w*|content_\w+"
          r"|validation\w*|unprocessable\w*"),
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """A server's error.

    Attributes:
        codes: its code, type and status, in lower case.
        parameter: the request parameter that it names, if any.
        page: it is a web page, not JSON.
        comes_back: the server says when to retry.
    """

    message: str
    codes: tuple[str, ...] = ()
    parameter: str | None = None
    page: bool = False
    comes_back: bool = False

    def says(self, words: re.Pattern[str] | None, codes: re.Pattern[str] | None = None) -> bool:
        """Return whether the message matches ``words``, or one of its codes ``codes``."""
        in_message = words is not None and bool(words.search(self.message))
        return in_message or (codes is not None and any(map(codes.fullmatch, self.codes)))

    @property
    def status(self) -> int | None:
        """The HTTP status that the codes stand for; None if they stand for none."""
        for code in self.codes:
            if code.isdecimal() and 400 <= int(code[:4]) < 600:
                return int(code)
        for status, pattern in _STATUS:
            if any(re.fullmatch(pattern, code) for code in self.codes):
                return status
        return None


def words_of(body: Any, text: str, comes_back: bool) -> Words:
    """Return a server's error; ``body`` is its reply as JSON, or None if it is not JSON."""
    if isinstance(body, list) and body:  # Google
        body = body[0]
    if not isinstance(body, Mapping):
        page = body is None
        message = _plain(text) if page else str(body)
        return Words(message[:READ] or "no details given", (), None, page, comes_back)
    told = (body.get(name) for name in ERRORS)
    error = next((e for e in told if e and isinstance(e, str | Mapping | list)), body)
    first = error[0] if isinstance(error, list) else error
    fields = first if isinstance(first, Mapping) else {}
    places = [place for place in (fields, body) if place]
    codes = (place.get(n) for place in places for n in ("code", "type", "status"))
    parameter = next((p for place in places for p in _parameters(place)), None)
    message = "; ".join(dict.fromkeys(_messages(error))) or (str(error) if error else "")
    return Words(
        message[:READ] or "no details given",
        tuple(str(code).lower() for code in codes if isinstance(code, str | int)),
        parameter,
        False,
        comes_back,
    )


def _messages(value: Any) -> Iterator[str]:
    """Yield the messages of an error, at any depth; FastAPI has a list of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value[:5]:
            yield from _messages(item)
    elif isinstance(value, Mapping):
        place = value.get("loc")
        names = ("message", "msg", "status_msg", "detail", "error", "metadata", "raw")
        said = [value.get(name) for name in names]
        where = f"{place[-1]}: " if isinstance(place, list) and place else ""
        for part in said:
            yield from (f"{where}{text}" for text in _messages(part))


def _parameters(value: Any) -> Iterator[str]:
    """Yield the names of rejected parameters, such as FastAPI's loc: ["body", "seed"]."""
    if isinstance(value, list):
        for item in value[:5]:
            yield from _parameters(item)
    elif isinstance(value, Mapping):
        place = value.get("loc")
        if isinstance(place, list) and len(place) > 1 and isinstance(place[1], str):
            yield place[1]
        if isinstance(value.get("param"), str) and value["param"]:
            yield value["param"]
        for name in ("detail", "message", "error"):
            yield from _parameters(value.get(name))


def _plain(page: str) -> str:
    """Return a web page's title, or its text on one line."""
    title = re.search(r"<title[^>]*>(.*?)</title>", page[:100_000], re.I | re.S)
    text = title[1] if title and title[1].strip() else re.sub(r"<[^>]*>", " ", page[:READ])
    return " ".join(text.split())
