"""A small OpenAI-compatible server whose faults are asked for in the prompt."""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import JsonHandler, served


@dataclass
class Endpoint:
    """What the server saw. ``url`` ends in /v1."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    say: Callable[[str], str] = "echo {}".format  # what it answers without a fault


ECHO: Callable[[str], str] = "echo {}".format


def completion(prompt: str, say: Callable[[str], str] = ECHO, **changes: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": say(prompt)},
        "finish_reason": "stop",
    }
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{**choice, **changes}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }


def replying(status: int, body: Any, **more: Any) -> str:
    """Return a prompt that the server answers so; %KEY%, %HEAD%, %TAIL% are parts of the key."""
    return "reply " + json.dumps({"status": status, "body": body, **more})


class _Handler(JsonHandler):
    seen: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        with self.seen.lock:
            self.seen.bodies.append(body)
            self.seen.keys.add(self.headers.get("Authorization"))
            self.seen.tries[prompt] += 1
            number = self.seen.tries[prompt]
            self.seen.running += 1
            self.seen.most_at_once = max(self.seen.most_at_once, self.seen.running)
        try:
            self.answer(prompt, number)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller was killed
        finally:
            with self.seen.lock:
                self.seen.running -= 1

    def answer(self, prompt: str, number: int) -> None:
        """Obey ``fault`` or ``fault once`` in the prompt's first word or two."""
        fault, _, rest = prompt.partition(" ")
        if rest.startswith("once") and number > 1:
            fault = "none"
        if fault.isdigit():
            headers = {"Retry-After": "0.2"} if "patience" in prompt else {}
            key = self.headers.get("Authorization", "")
            self.reply(int(fault), {"error": {"message": f"no, {key}"}}, headers)
        elif fault == "hang":
            time.sleep(1.5)
            self.reply(200, completion(prompt, self.seen.say))
        elif fault == "reset":
            data = json.dumps(completion(prompt, self.seen.say)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            linger = struct.pack("ii", 1, 0)  # close with a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
        elif fault == "malformed":
            self.raw(200, b'{"choices": [', {})
        elif fault == "empty":
            self.reply(200, {**completion(prompt, self.seen.say), "choices": []})
        elif fault in ("length", "content_filter"):
            self.reply(200, completion(prompt, self.seen.say, finish_reason=fault))
        elif fault == "unmetered":
            self.reply(200, {**completion(prompt, self.seen.say), "usage": {"total_tokens": 16}})
        elif fault == "picture":
            message = {"role": "assistant", "content": [{"type": "image_url", "image_url": {}}]}
            self.reply(200, completion(prompt, self.seen.say, message=message))
        elif fault == "reply":  # and JSON: status, headers, body or page
            told = json.loads(rest)
            text = told["page"] if "page" in told else json.dumps(told["body"])
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            for mark, part in (("KEY", key), ("HEAD", key[:9]), ("TAIL", key[-4:])):
                text = text.replace(f"%{mark}%", part)
            self.raw(told.get("status", 200), text.encode(), told.get("headers", {}))
        elif fault == "slow":
            time.sleep(0.3)
            self.reply(200, completion(prompt, self.seen.say))
        elif fault == "half":
            message = {"role": "assistant", "content": "a\ud83db"}
            self.reply(200, completion(prompt, self.seen.say, message=message))
        elif fault == "halfway":
            self.reply(400, {"error": {"message": "no\udc00"}})
        elif fault == "thinking":
            message = {"role": "assistant", "content": "7", "reasoning_content": "It is 7."}
            self.reply(200, completion(prompt, self.seen.say, message=message))
        else:
            time.sleep(0.02)
            self.reply(200, completion(prompt, self.seen.say))


@contextmanager
def serve() -> Iterator[Endpoint]:
    """Run the server on a free port of the loopback interface."""
    seen = Endpoint("")
    with served(_Handler, seen=seen) as address:
        seen.url = f"{address}/v1"
        yield seen
