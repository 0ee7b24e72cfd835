"""Servers that refuse what the real ones refuse, and answer as they answer (hosted_servers.md)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import JsonHandler, served

Body = dict[str, Any]
Refusal = tuple[int, Any]  # HTTP status and what is said

OPENAI = {
    "model", "messages", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens",
    "reasoning_effort", "stop", "user", "frequency_penalty", "presence_penalty",
}  # fmt: skip


def openai_error(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    kind = "invalid_request_error"
    return 400, {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class Server:
    """What one server does.

    Attributes:
        model: the only one that it has; None: whatever is asked for is answered.
        refuse: returns why a request is refused, or None.
        usage: what it says that each answer took.
        message: what an answer's message has beside its role.
        finish_reason: of every answer.
        unknown_model: what it says of one that it does not have.
        key: the variable that holds what it lets in; None: everybody.
    """

    model: str | None
    usage: dict[str, Any]
    refuse: Callable[[Body], Refusal | None] = lambda body: None
    message: dict[str, Any] = field(default_factory=lambda: {"content": "4"})
    finish_reason: str = "stop"
    unknown_model: Refusal = (404, {"error": {"message": "The model does not exist."}})
    key: str | None = None


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """Return a server's usage, in OpenAI's form, and what is its own."""
    total = prompt + completion
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {**counts, **more}


def cached(count: int | None) -> dict[str, Any]:
    return {"prompt_tokens_details": {"cached_tokens": count}}


def _as_openai(body: Body) -> Refusal | None:
    if "max_tokens" in body:
        said = ("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead.")  # fmt: skip
        return openai_error(said, "max_tokens", "unsupported_parameter")
    if body.get("temperature", 1) != 1:
        said = ("Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
                "default (1) value is supported.")  # fmt: skip
        return openai_error(said, "temperature", "unsupported_value")
    if "top_p" in body:
        said = "Unsupported parameter: 'top_p' is not supported with this model."
        return openai_error(said, "top_p", "unsupported_parameter")
    for name in body.keys() - OPENAI:
        return openai_error(f"Unrecognized request argument supplied: {name}")
    return None


def _as_anthropic(body: Body) -> Refusal | None:
    if {"temperature", "top_p"} <= body.keys():
        said = ("`temperature` and `top_p` cannot both be specified for this model. Please use "
                "only one.")  # fmt: skip
        return openai_error(said)
    return None


def _as_gemini(body: Body) -> Refusal | None:
    for name in body.keys() - (OPENAI - {"seed"}) - {"extra_body"}:
        said = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
        return 400, [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}]
    return None


def _as_openrouter(body: Body) -> Refusal | None:
    """This model's provider knows no seed."""
    if body.get("provider", {}).get("require_parameters") and "seed" in body:
        said = "No endpoints found that can handle the requested parameters."
        return 404, {"error": {"message": said, "code": 404}}
    return None


def _as_litellm(body: Body) -> Refusal | None:
    """Claude is behind it, and drop_params is off."""
    if "seed" in body:
        said = (
            "litellm.UnsupportedParamsError: anthropic does not support parameters: ['seed'], for "
            "model=claude-sonnet-4-5. To drop these, set `litellm.drop_params=True` or for proxy:"
            "\n\n`litellm_settings:\n drop_params: true`\n. \n If you want to use these params "
            "dynamically send allowed_openai_params=['seed'] in your request."
        )
        return 400, {"error": {"message": said, "type": "None", "param": "None", "code": "400"}}
    return _as_anthropic(body)


THOUGHTS = {"content": "4", "reasoning_content": "2 and 2."}
SERVERS: dict[str, Server] = {
    "vLLM": Server(
        "Qwen/Qwen3-8B",
        usage(20, 1, **cached(16)),
        unknown_model=(404, {"error": {"message": "The model `x` does not exist.", "code": 404,
                                       "type": "NotFoundError", "param": "model"}}),
    ),
    "SGLang": Server("Qwen/Qwen3-8B", usage(20, 1, prompt_tokens_details=None)),
    "llama.cpp": Server(None, {**usage(20, 1), **cached(12)}, message=THOUGHTS),
    "Ollama": Server(
        "gpt-oss:20b",
        usage(20, 9),
        message={"content": "4", "reasoning": "2 and 2."},
        unknown_model=(404, {"error": {"message": 'model "x" not found, try pulling it first',
                                       "type": "not_found_error", "param": None, "code": None}}),
    ),
    "LM Studio": Server("qwen/qwen3-8b", usage(20, 9), message=THOUGHTS),
    "OpenAI's reasoning models": Server(
        "gpt-5-mini",
        usage(1200, 340, completion_tokens_details={"reasoning_tokens": 320}, **cached(1024)),
        _as_openai,
        message={"content": "4", "refusal": None, "annotations": []},
        key="OPENAI_API_KEY",
    ),
    "Anthropic": Server(
        "claude-sonnet-4-5",
        usage(20, 1, prompt_tokens_details=None),
        _as_anthropic,
        key="ANTHROPIC_API_KEY",
    ),
    "Gemini": Server(
        "gemini-2.5-flash",
        {**usage(1200, 20), "total_tokens": 1520, **cached(1000)},
        _as_gemini,
        key="GEMINI_API_KEY",
    ),
    "Bedrock": Server("openai.gpt-oss-20b-1:0", usage(20, 9), key="AWS_BEARER_TOKEN_BEDROCK"),
    "OpenRouter": Server(
        "qwen/qwen3-235b-a22b",
        usage(1200, 40, cost=0.0002, **cached(1000)),
        _as_openrouter,
        message={"content": "4", "reasoning": "2 and 2.", "refusal": None},
        key="OPENROUTER_API_KEY",
    ),
    "Together": Server(
        "openai/gpt-oss-20b",
        usage(20, 9, cached_tokens=0),
        finish_reason="eos",
        key="TOGETHER_API_KEY",
    ),
    "LiteLLM's proxy": Server(
        "claude",
        usage(1200, 10, cache_read_input_tokens=1000, **cached(1000)),
        _as_litellm,
        key="LITELLM_KEY",
    ),
}  # fmt: skip


@dataclass
class Seen:
    """What a server was sent, and where it is."""

    address: str = ""
    bodies: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class _Handler(JsonHandler):
    server_kind: Server
    path_wanted: str
    key: str | None
    seen: Seen

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.bodies.append(body)
        self.seen.headers.append({k.lower(): value for k, value in self.headers.items()})
        self.reply(*self._answer(body))

    def _answer(self, body: Body) -> Refusal:
        server = self.server_kind
        if self.path != self.path_wanted:
            return 404, {"detail": "Not Found"}
        given = self.headers.get("Authorization")
        if self.key and given != f"Bearer {self.key}":
            return 401, {"error": {"message": f"Incorrect API key provided: {given}"}}
        if server.model not in (None, body["model"]):
            return server.unknown_model
        choice = {"index": 0, "finish_reason": server.finish_reason,
                  "message": {"role": "assistant", **server.message}}  # fmt: skip
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
                  "choices": [choice], "usage": server.usage}  # fmt: skip
        return server.refuse(body) or (200, answer)


@contextmanager
def serve_as(server: Server, path: str, key: str | None) -> Iterator[Seen]:
    """Run a server whose chat completions are at ``path``; ``key`` lets in, None everybody."""
    seen = Seen()
    with served(_Handler, server_kind=server, path_wanted=path, key=key, seen=seen) as address:
        seen.address = address
        yield seen
