"""SIGKILL while several hosted teachers answer: a kill costs at most a chunk of each."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from persyn_kedro.domain.stores.tables import ResponseStore
from tests.support.endpoint import Endpoint
from tests.support.hosted_teachers import recipe, remote

NAMES, PROMPTS, CHUNK, KILLS = "abc", 60, 8, 3
SCRIPT = """
import sys
from pathlib import Path
from persyn_kedro.domain import teachers
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.settings.engine import EngineSettings
from tests.support.endpoint import Endpoint
from tests.support.hosted_teachers import recipe, remote, wanted

url, store, names, prompts, chunk = sys.argv[1:]
endpoint, settings = Endpoint(url), {"timeout_seconds": 20, "max_concurrency": 3}
pool = [recipe(remote(endpoint, model=n, **settings), n) for n in names]
asked = {n: wanted([f"{n} {i}" for i in range(int(prompts))], n)[n] for n in names}
engine = EngineSettings(name="transformers", chunk_size=int(chunk))
teachers.make_sure(asked, pool, ResponseStore(Path(store)), engine, 0)
"""


def start(endpoint: Endpoint, store: Path) -> "subprocess.Popen[bytes]":
    arguments = [endpoint.url, str(store), NAMES, str(PROMPTS), str(CHUNK)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=os.environ)


def test_a_kill_costs_at_most_a_chunk_of_each_teacher_under_way(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    total, draw = PROMPTS * len(NAMES), random.Random(0)  # noqa: S311
    for number in range(KILLS):
        before = len(endpoint.bodies)
        moment = before + draw.randrange(5, total // (KILLS + 1))
        run = start(endpoint, tmp_path)
        while len(endpoint.bodies) < moment and run.poll() is None:
            time.sleep(0.002)
        assert run.poll() is None, number
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert start(endpoint, tmp_path).wait() == 0
    assert len(endpoint.tries) == total
    again = len(endpoint.bodies) - total
    assert 0 < again <= KILLS * len(NAMES) * CHUNK
    for name in NAMES:
        shelf = recipe(remote(endpoint, model=name), name).shelf
        rows = ResponseStore(tmp_path).read(shelf).to_pylist()
        assert {row["response"] for row in rows} == {f"echo {name} {i}" for i in range(PROMPTS)}
