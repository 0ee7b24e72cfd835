"""A server that keeps batch jobs as OpenAI's and Anthropic's do, and ends them when it is told."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tests.support.loopback import JsonHandler, served

Row = dict[str, Any]


@dataclass
class Batch:
    """A job: its requests by custom_id, and what came of each, once it has ended."""

    id: str
    requests: dict[str, Row]
    made: float
    metadata: Row = field(default_factory=dict)
    file: str = ""
    status: str = "in_progress"
    results: dict[str, Row] = field(default_factory=dict)


@dataclass
class Service:
    """What the server has and was sent.

    Attributes:
        step: called with the name of each request before it is obeyed (``before job``) and before
            it is answered (``after job``); where it returns True the connection is cut.
        answers: makes the answer to a prompt: a text, or a kind of failure in angle brackets.
        at_once: whether a job ends as soon as it is made.
        refusal: the status and body of every reply, if it refuses everything.
    """

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    step: Callable[[str], bool] = lambda name: False
    answers: Callable[[str], str] = "echo {}".format
    at_once: bool = False
    refusal: tuple[int, Row] | None = None
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def sent(self) -> Counter[str]:
        """How often each prompt is in a job."""
        return Counter(
            prompt_of(row) for batch in self.batches.values() for row in batch.requests.values()
        )

    def make(self, requests: dict[str, Row], **more: Any) -> Batch:
        batch = Batch(f"batch_{len(self.batches)}", requests, time.time(), **more)
        self.batches[batch.id] = batch
        if self.at_once:
            self.end(batch)
        return batch

    def end(self, batch: Batch | None = None, status: str = "completed") -> None:
        """End a job, or all; those that expire or are cancelled answer the first half."""
        for each in [batch] if batch else self.batches.values():
            if each.status != "in_progress":
                continue
            each.status = status
            rows = list(each.requests.items())
            half = len(rows) if status == "completed" else len(rows) // 2
            said = [self.answers(prompt_of(row)) for _, row in rows[:half]]
            said += [f"<{status}>"] * (len(rows) - half)
            each.results = dict(zip(each.requests, map(_said, said), strict=True))


def _said(text: str) -> Row:
    kind = re.fullmatch(r"<(\w+)>", text)
    return {"failure": kind[1]} if kind else {"text": text}


def prompt_of(row: Row) -> str:
    return row["messages"][-1]["content"]


MESSAGES = {
    "model", "max_tokens", "messages", "system", "temperature", "top_p", "top_k", "stop_sequences",
    "thinking",
}  # fmt: skip
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def _openai_line(key: str, result: Row) -> Row:
    failure = result.get("failure")
    if failure in ("expired", "cancelled"):
        error = {"code": f"batch_{failure}", "message": "This request could not be executed."}
        return {"id": "x", "custom_id": key, "response": None, "error": error}
    if failure:
        body: Row = {"error": {"message": f"no: {failure}", "type": "invalid_request_error"}}
    else:
        choice = {"index": 0, "finish_reason": "stop",
                  "message": {"role": "assistant", "content": result["text"]}}  # fmt: skip
        cached = {"prompt_tokens_details": {"cached_tokens": 8}}
        body = {"object": "chat.completion", "choices": [choice], "usage": {**USAGE, **cached}}
    response = {"status_code": 400 if failure else 200, "request_id": "r", "body": body}
    return {"id": "x", "custom_id": key, "response": response, "error": None}


def _anthropic_line(key: str, result: Row) -> Row:
    failure = result.get("failure")
    if failure in ("expired", "cancelled"):
        return {"custom_id": key, "result": {"type": failure.replace("ll", "l")}}
    if failure:
        error = {"type": "invalid_request_error", "message": f"no: {failure}"}
        told = {"type": "error", "error": error, "request_id": None}
        return {"custom_id": key, "result": {"type": "errored", "error": told}}
    usage = {"input_tokens": 3, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0,
             "output_tokens": 5}  # fmt: skip
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "usage": usage,
               "content": [{"type": "text", "text": result["text"]}],
               "stop_reason": "end_turn", "stop_sequence": None}  # fmt: skip
    return {"custom_id": key, "result": {"type": "succeeded", "message": message}}


class _Handler(JsonHandler):
    service: Service

    def do_POST(self) -> None:
        self._obey("POST")

    def do_GET(self) -> None:
        self._obey("GET")

    def _obey(self, method: str) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].removeprefix("/v1/")
        name, groups, function = _route(method, path)
        if function is None:
            return self.reply(404, {"error": {"message": f"no {method} {self.path}"}})
        if self.service.refusal is not None:
            return self.reply(*self.service.refusal)
        if self.service.step(f"before {name}"):
            return self._cut()
        with self.service.lock:
            self.service.calls[name] += 1
            status, body = function(self, data, *groups)
        if self.service.step(f"after {name}"):
            return self._cut()
        try:
            if isinstance(body, bytes):
                self.raw(status, body, {})
            else:
                self.reply(status, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller was killed

    def _cut(self) -> None:
        self.close_connection = True

    def upload(self, data: bytes) -> tuple[int, Any]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + data).iter_parts()
        (file,) = (part for part in parts if part.get_filename())
        number = f"file-{len(self.service.files)}"
        self.service.files[number] = (file.get_filename(), file.get_payload(decode=True))
        return 200, self._file(number)

    def _file(self, number: str) -> Row:
        name, data = self.service.files[number]
        return {"id": number, "object": "file", "filename": name, "bytes": len(data),
                "created_at": 0, "purpose": "batch", "status": "processed"}  # fmt: skip

    def files(self, data: bytes) -> tuple[int, Any]:
        rows = [self._file(number) for number in reversed(self.service.files)]
        return 200, {"object": "list", "data": rows, "has_more": False}

    def content(self, data: bytes, number: str) -> tuple[int, Any]:
        kind, _, batch_id = number.partition("-of-")
        results = self.service.batches[batch_id].results
        lines = [
            json.dumps(_openai_line(key, result), ensure_ascii=False)
            for key, result in reversed(results.items())  # in no order
            if ("failure" in result) == (kind == "errors")
        ]
        return 200, "".join(f"{line}\n" for line in lines).encode()

    def make_openai(self, data: bytes) -> tuple[int, Any]:
        body = json.loads(data)
        _, lines = self.service.files[body["input_file_id"]]
        rows = [json.loads(line) for line in lines.splitlines()]
        assert {row["url"] for row in rows} <= {body["endpoint"]}
        requests = {row["custom_id"]: row["body"] for row in rows}
        assert len(requests) == len(rows)
        batch = self.service.make(requests, metadata=body["metadata"], file=body["input_file_id"])
        return 200, self._openai(batch)

    def _openai(self, batch: Batch) -> Row:
        done = batch.status != "in_progress"
        failed = any("failure" in result for result in batch.results.values())
        return {
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions",
            "completion_window": "24h", "created_at": int(batch.made), "status": batch.status,
            "input_file_id": batch.file, "metadata": batch.metadata,
            "output_file_id": f"output-of-{batch.id}" if done and batch.results else None,
            "error_file_id": f"errors-of-{batch.id}" if failed else None,
            "errors": None if batch.status != "failed" else {"object": "list", "data": [
                {"code": "token_limit_exceeded", "message": "Enqueued token limit reached."}]},
        }  # fmt: skip

    def list_openai(self, data: bytes) -> tuple[int, Any]:
        rows = [self._openai(batch) for batch in reversed(self.service.batches.values())]
        return 200, {"object": "list", "data": rows, "has_more": False}

    def get_openai(self, data: bytes, batch_id: str) -> tuple[int, Any]:
        return 200, self._openai(self.service.batches[batch_id])

    def make_anthropic(self, data: bytes) -> tuple[int, Any]:
        rows = json.loads(data)["requests"]
        requests = {row["custom_id"]: row["params"] for row in rows}
        assert len(requests) == len(rows)
        for params in requests.values():
            assert params.keys() <= MESSAGES, params
            assert {message["role"] for message in params["messages"]} <= {"user", "assistant"}
        return 200, self._anthropic(self.service.make(requests))

    def _anthropic(self, batch: Batch) -> Row:
        done, counts = batch.status != "in_progress", Counter[str]()
        for result in batch.results.values():
            failure = result.get("failure")
            kinds = {None: "succeeded", "expired": "expired", "cancelled": "canceled"}
            counts[kinds.get(failure, "errored")] += 1
        names = ("succeeded", "errored", "expired", "canceled")
        made = datetime.fromtimestamp(batch.made, UTC).isoformat()
        return {
            "id": batch.id, "type": "message_batch", "created_at": made, "expires_at": made,
            "processing_status": "ended" if done else "in_progress", "archived_at": None,
            "cancel_initiated_at": None, "ended_at": made if done else None,
            "request_counts": {"processing": 0 if done else len(batch.requests),
                               **{name: counts[name] for name in names}},
            "results_url": f"/v1/messages/batches/{batch.id}/results" if done else None,
        }  # fmt: skip

    def list_anthropic(self, data: bytes) -> tuple[int, Any]:
        rows = [self._anthropic(batch) for batch in reversed(self.service.batches.values())]
        return 200, {"data": rows, "has_more": False, "first_id": None, "last_id": None}

    def get_anthropic(self, data: bytes, batch_id: str) -> tuple[int, Any]:
        return 200, self._anthropic(self.service.batches[batch_id])

    def results(self, data: bytes, batch_id: str) -> tuple[int, Any]:
        rows = self.service.batches[batch_id].results.items()
        lines = [json.dumps(_anthropic_line(*row), ensure_ascii=False) for row in rows]
        return 200, "".join(f"{line}\n" for line in lines).encode()


ROUTES: dict[str, tuple[str, str, Callable[..., tuple[int, Any]]]] = {
    "upload": ("POST", "files", _Handler.upload),
    "files": ("GET", "files", _Handler.files),
    "content": ("GET", "files/(.+)/content", _Handler.content),
    "job": ("POST", "batches", _Handler.make_openai),
    "jobs": ("GET", "batches", _Handler.list_openai),
    "look": ("GET", "batches/(.+)", _Handler.get_openai),
    "message job": ("POST", "messages/batches", _Handler.make_anthropic),
    "message jobs": ("GET", "messages/batches", _Handler.list_anthropic),
    "results": ("GET", "messages/batches/(.+)/results", _Handler.results),
    "message look": ("GET", "messages/batches/([^/]+)", _Handler.get_anthropic),
}


def _route(method: str, path: str) -> tuple[str, Sequence[str], Callable[..., Any] | None]:
    for name, (verb, pattern, function) in ROUTES.items():
        found = re.fullmatch(pattern, path)
        if verb == method and found:
            return name, found.groups(), function
    return "", (), None


@contextmanager
def serve_batches() -> Iterator[Service]:
    """Run the server; its ``url`` ends in /v1."""
    service = Service()
    with served(_Handler, service=service) as address:
        service.url = f"{address}/v1"
        yield service
