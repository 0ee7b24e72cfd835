"""Teacher calls, counted where they arrive: with an empty store, with a full one, and all of them.

    .venv/bin/python benchmarks/teacher_calls.py

The teachers are three models of a server on this machine that counts its requests; everything
else is the real command line. Exact: K n + (N - n) with an empty store and none with a full one. A
second store is filled as in Generate-then-Select, every prompt by every teacher: K N.
"""

import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

from measuring import arguments, report
from project_copy import copy_project, kedro, write

TEACHERS = ("one", "two", "three")
STEPS = "--pipelines=prepare,label,train_router,route,generate"


class Handler(BaseHTTPRequestHandler):
    """Answers like an OpenAI-compatible server, and counts."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, *args: object) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        """Answer in the model's own words, with a length that depends on model and prompt."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body["model"])
        text = body["model"] + body["messages"][-1]["content"]
        message = {
            "role": "assistant",
            "content": f"{body['model']} " * (1 + crc32(text.encode()) % 7),
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
        frame = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
        data = json.dumps({**frame, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve() -> Iterator[tuple[str, list[str]]]:
    """Run the server on a free port of the loopback interface; yield its address and its count."""
    handler = type("Counting", (Handler,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler.asked
    finally:
        server.shutdown()
        server.server_close()


def parameters(url: str, prompts: int, calibration: float) -> str:
    """Return an environment's parameters: counted teachers, a tiny random student, kNN."""
    endpoints = {n: {"endpoint": {"url": url, "model": n}} for n in TEACHERS}
    return json.dumps(  # JSON is YAML
        {
            "seed": 7,
            "models": {**endpoints, "tiny": {"random": "chat", "dtype": "float32"}},
            "teachers": {n: {"model": n, "sampling": {"max_new_tokens": 8}} for n in TEACHERS},
            "student": {"model": "tiny"},
            "engine": {"name": "transformers"},
            "prepare": {
                "source": {"tasks": [{"name": "chain_sum", "size": prompts, "config": {}}]},
                "calibration_fraction": calibration,
                "test_fraction": 0.2,
                "holdout_fraction": 0.3,
            },
            "train_router": {"kind": "knn", "backbone": "tiny"},
        }
    )


def main() -> None:
    """Run, count, compare with the formula, and only then report."""
    options = arguments(__doc__, prompts={"type": int, "default": 100})
    with tempfile.TemporaryDirectory() as scratch, serve() as (url, asked):
        project = copy_project(Path(scratch) / "project")
        for name, calibration in (("persyn", 0.25), ("select", 0.7999)):
            settings = parameters(url, options.prompts, calibration)
            files = {"parameters.yml": settings, "globals.yml": f"data: data/{name}"}
            write(project / "conf" / name, files)
        run = partial(kedro, project, environment={"PERSYN_CACHE": str(Path(scratch) / "cache")})
        counts = {
            "empty store": counted(asked, lambda: run("run", "--env=persyn", STEPS)),
            "full store": counted(asked, lambda: run("run", "--env=persyn", STEPS, "--redo")),
            "full store, labelled with another alpha": counted(
                asked,
                lambda: run("run", "--env=persyn", "--pipelines=label", "--params=label.alpha=0.9"),
            ),
            "Generate-then-Select": counted(
                asked, lambda: run("run", "--env=select", "--pipelines=prepare,label")
            ),
        }
        splits = split_sizes(project, "persyn")
        own = own_count(project)
        same = split_sizes(project, "select")["calibration"]
    k, n, train = len(TEACHERS), splits["calibration"], splits["train"]
    total = n + train
    formula = k * n + (total - n)
    expected = dict(zip(counts, (formula, 0, 0, k * total), strict=True))
    if counts != expected or own != formula or same != total:
        raise SystemExit(f"Counted {counts} (own count {own}), the formulas say {expected}.")
    rows = [
        {"run": name, "calls": calls, "formula": text, "share of K N": calls / (k * total)}
        for (name, calls), text in zip(
            counts.items(), ("K n + (N - n)", "0", "0", "K N"), strict=True
        )
    ]
    report("teacher_calls", rows, K=k, N=total, n=n, exact=True)


def counted(asked: list[str], run: Callable[[], object]) -> int:
    """Return the number of requests that reached the server during ``run``."""
    before = len(asked)
    run()
    return len(asked) - before


def read(project: Path, name: str, pattern: str) -> list[dict]:
    """Return the rows of the oldest version of a table: the first run's."""
    import pyarrow.parquet as pq

    path = sorted((project / "data" / name).glob(pattern))[0]
    return pq.read_table(path).to_pylist()


def split_sizes(project: Path, name: str) -> Counter[str]:
    """Return the number of prompts in each split."""
    rows = read(project, name, "02_intermediate/prompts.parquet/*/prompts.parquet")
    return Counter(row["split"] for row in rows)


def own_count(project: Path) -> int:
    """Return the calls that the project reports for its first run."""
    tables = ("calibration_calls", "routed_calls")
    rows = [
        r for t in tables for r in read(project, "persyn", f"03_primary/{t}.parquet/*/*.parquet")
    ]
    return sum(row["calls"] for row in rows)


if __name__ == "__main__":
    main()
