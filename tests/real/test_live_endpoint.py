"""A real server: `vllm serve` of SmolLM2 on loopback, behind a proxy that injects faults."""

import http.client
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers import Recipe
from persyn_kedro.foundations.models.resolve import resolve_model
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support import guides

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def vllm_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    model = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    port = free_port()
    log = tmp_path_factory.mktemp("vllm") / "log"
    command = [
        # `vllm serve` itself asks for the package's name, which is another one on a CPU
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model.directory),
        "--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port),
        "--max-model-len", "512", "--max-num-seqs", "8", "--enforce-eager",
        "--generation-config", "vllm", "--enable-prompt-tokens-details",
    ]  # fmt: skip
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            for _ in range(300):
                assert server.poll() is None, log.read_text()[-3000:]
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)  # noqa: S310
                    break
                except OSError:
                    time.sleep(1)
            else:
                pytest.fail(f"vllm serve did not start: {log.read_text()[-3000:]}")
            yield port
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def faulty(vllm_port: int) -> Iterator[tuple[str, list[str]]]:
    """A proxy that refuses, breaks or garbles the first requests, then lets all through."""
    faults = ["429", "500", "reset", "garbled"]
    seen: list[str] = []
    lock = threading.Lock()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """Stay silent."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                fault = faults.pop(0) if faults else "none"
                seen.append(fault)
            if fault == "reset":
                self.connection.close()
                self.close_connection = True
                return
            if fault == "none":
                upstream = http.client.HTTPConnection("127.0.0.1", vllm_port, timeout=120)
                upstream.request("POST", self.path, body, {"Content-Type": "application/json"})
                answer = upstream.getresponse()
                status, data = answer.status, answer.read()
            else:
                status, data = (200, b'{"cho') if fault == "garbled" else (int(fault), b"{}")
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_address[1]}/v1", seen
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_a_served_teacher_answers_as_the_same_weights_do_here(
    faulty: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, seen = faulty
    endpoint = {"url": url, "model": "smollm2", "max_concurrency": 4, "backoff_seconds": 0.1}
    served = resolve_model("served", ModelSettings(endpoint=endpoint))  # type: ignore[arg-type]
    local = resolve_model("smollm2", ModelSettings(zoo="smollm2"))
    sampling = SamplingSettings(max_new_tokens=12)
    recipes = [
        Recipe("served", served, "Be brief.", sampling, price=1.0),
        Recipe("local", local, "Be brief.", sampling),
    ]
    prompts = [(f"p{i}", f"What is {i} + 1?") for i in range(8)]
    prompts.append(("long", "word " * 2000))  # over the server's context: final, a row
    wanted = {"served": prompts, "local": prompts[:8]}
    engine = EngineSettings(name="vllm", max_model_len=512, max_num_seqs=8)
    store = ResponseStore(tmp_path)
    responses, calls = teachers.answer(wanted, recipes, store, engine, 0)
    rows = responses.to_pylist()
    of = {t: {r["prompt_id"]: r for r in rows if r["teacher"] == t} for t in wanted}
    assert seen[:4] == ["429", "500", "reset", "garbled"]
    assert "HTTP 400" in of["served"]["long"]["error"]
    same = [
        of["served"][p]["response"].strip() == of["local"][p]["response"].strip()
        for p, _ in prompts[:8]
    ]
    assert sum(same) >= 6  # greedy; bfloat16 batches may differ in a token
    for p, _ in prompts[:8]:
        assert of["served"][p]["error"] is None
        assert of["served"][p]["prompt_tokens"] == of["local"][p]["prompt_tokens"]
    cost = calls.to_pylist()[0]["cost"]
    assert cost == pytest.approx(sum(r["completion_tokens"] for r in of["served"].values()) / 1e6)
    _, again = teachers.answer(wanted, recipes, store, engine, 0)
    assert [row["calls"] for row in again.to_pylist()] == [1, 0]  # the failed row alone


def test_the_recipe_of_the_guide_is_answered_and_cached_tokens_are_told(
    vllm_port: int, tmp_path: Path
) -> None:
    settings = guides.recipes("hosted_servers")["vLLM"]
    source = settings["models"]["hosted"]
    source["endpoint"].update(url=f"http://127.0.0.1:{vllm_port}/v1", model="smollm2")
    model = resolve_model("hosted", ModelSettings.model_validate(source))
    given = {**settings["teachers"]["hosted"]["sampling"], "max_new_tokens": 8}
    nothing = dict.fromkeys(("temperature", "top_p", "top_k", "repetition_penalty", "seed"))
    system = "Answer with a number. " * 60  # more than a block of the cache
    recipes = [
        Recipe(
            "as told", model, system, SamplingSettings(**given), 1.0, 1.0, cached_prompt_price=0
        ),
        Recipe("as it likes", model, system, SamplingSettings(**{**given, **nothing}), 1.0, 1.0),
    ]
    store, wanted = ResponseStore(tmp_path), {r.teacher: [("p", "2 + 2?")] for r in recipes}
    for name in wanted:  # the first fills the cache
        teachers.answer({name: [("q", "1 + 2?")]}, recipes, store, EngineSettings(), 0)
    responses, calls = teachers.answer(wanted, recipes, store, EngineSettings(), 0)
    rows = responses.to_pylist()
    assert all(row["error"] is None and row["completion_tokens"] <= 8 for row in rows)
    cached = [row["cached_prompt_tokens"] for row in rows]
    assert all(0 < count < row["prompt_tokens"] for count, row in zip(cached, rows, strict=True))
    full = [row["prompt_tokens"] + row["completion_tokens"] for row in rows]
    costs = [row["cost"] * 1e6 for row in calls.to_pylist()]
    assert costs == pytest.approx([full[0] - cached[0], full[1]])
