"""The process that models' processes are forked from has one thread, and takes none from them."""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from persyn_kedro.foundations.settings.needs import Needs
from persyn_kedro.runs.preload import imports_of

SCRIPT = """
    import json, os, sys
    from pathlib import Path
    from persyn_kedro.foundations.processes.child import run_in_child
    from persyn_kedro.foundations.processes.fork_server import import_ahead

    def names(pid):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return [(thread / "comm").read_text().strip() for thread in threads]

    def found():
        import torch
        from threadpoolctl import threadpool_info

        pools = {(p["internal_api"], p["num_threads"]) for p in threadpool_info()}
        return sorted(pools), torch.get_num_threads(), torch.get_num_interop_threads()

    def work():
        ahead = json.loads(sys.argv[1])
        assert not (missing := [name for name in ahead if name not in sys.modules]), missing
        yield names(os.getppid()), names(os.getpid()), dict(os.environ), found()

    if __name__ == "__main__":
        import_ahead(json.loads(sys.argv[1]))
        ((server, child, environment, threads),) = run_in_child(work, label="work")
        import scipy.linalg
        print(json.dumps([server, child, environment, threads, found()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks only there")
def test_the_server_has_one_thread_and_its_children_as_many_as_ever(
    tmp_path: Path,
) -> None:
    """All that any step imports ahead, at once: a thread that one started would be there."""
    engine = "vllm" if importlib.util.find_spec("vllm") else "transformers"
    ahead = imports_of(~Needs.HARNESS, engine)
    assert all({*imports_of(need, engine)} <= {*ahead} for need in Needs)
    # OMP_NUM_THREADS would keep NumExpr from what it does by default.
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, script, json.dumps(ahead)],
        env={**kept, "NUMEXPR_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    server, child, environment, threads, alone = json.loads(done.stdout.splitlines()[-1])
    assert len(server) == 1, server
    assert len(child) == 2, child  # its own, and the one that waits for the parent's end
    assert threads == alone
    assert environment["NUMEXPR_NUM_THREADS"] == "3"
    assert not environment.keys() & {"JE_ARROW_MALLOC_CONF", "PYTHONFAULTHANDLER"} - kept.keys()
