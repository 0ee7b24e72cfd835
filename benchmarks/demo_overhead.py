"""The share of the demo's wall time outside model work: imports, Kedro, tables, checks, processes.

    .venv/bin/python benchmarks/demo_overhead.py           # a small run: only SmolLM2, few prompts
    .venv/bin/python benchmarks/demo_overhead.py --full    # the demo's own settings

Model work is what the child processes do after their imports: loading, generating, scoring,
training. A sitecustomize times every process and its imports, a plugin (by Kedro's entry point)
the parent's nodes, loads and saves. Target: at most 10 % of the demo outside model work. The small
run has the same fixed costs and far less work, so its share is only an upper bound.
"""

import json
import tempfile
from pathlib import Path

from measuring import arguments, report
from project_copy import copy_project, kedro, small_run, write

AIM = 0.10
SITE = """
import atexit, builtins, importlib, json, os, sys, threading, time
from multiprocessing import util

directory = os.environ.get("PERSYN_TIMES")
if directory:
    now = {"kind": "other", "start": time.time(), "imports": 0.0, "last": time.time()}
    depth = threading.local()

    def timed(function):
        def call(*args, **kwargs):
            outermost = not getattr(depth, "inside", False)
            if not outermost:
                return function(*args, **kwargs)
            depth.inside, start = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                depth.inside = False
                now["imports"] += time.perf_counter() - start
                now["last"] = time.time()
        return call

    def write():
        row = {**now, "end": time.time()}
        with open(os.path.join(directory, f"process-{os.getpid()}.json"), "w") as file:
            json.dump(row, file)

    def fork_of_server():
        if now["kind"] == "other":  # its first child: all is imported
            now["kind"] = "server"
            write()

    def in_child(_):
        now.update(kind="child", start=time.time(), imports=0.0)
        util.Finalize(None, write, exitpriority=100)

    builtins.__import__ = timed(builtins.__import__)
    importlib.import_module = timed(importlib.import_module)
    if "forkserver" in " ".join(sys.orig_argv):
        os.register_at_fork(before=fork_of_server)
        util.register_after_fork(timed, in_child)
    else:
        atexit.register(write)
"""
PLUGIN = '''
import json, os, time
from kedro.framework.hooks import hook_impl

class Timing:
    """Writes the moments at which the parent changes what it does."""

    def __init__(self):
        self.moments = []

    def note(self, what):
        self.moments.append((time.time(), what))

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self):
        self.note("Kedro, hooks and runner")

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self):
        self.note("loads")

    @hook_impl(trylast=True)
    def after_dataset_loaded(self):
        self.note("Kedro, hooks and runner")

    @hook_impl(trylast=True)
    def before_node_run(self):
        self.note("nodes' own code")

    @hook_impl(tryfirst=True)
    def after_node_run(self):
        self.note("Kedro, hooks and runner")

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self):
        self.note("saves and checks")

    @hook_impl(trylast=True)
    def after_dataset_saved(self):
        self.note("Kedro, hooks and runner")

    @hook_impl(trylast=True)
    def after_pipeline_run(self):
        path = os.path.join(os.environ["PERSYN_TIMES"], f"moments-{os.getpid()}.json")
        with open(path, "w") as file:
            json.dump(self.moments, file)

hooks = Timing()
'''
SMALL = {
    "models": {"smollm2": {"zoo": "smollm2", "family": "smollm2"}},
    "teachers": {
        "steps": {"model": "smollm2", "system": "Think.", "sampling": {"max_new_tokens": 64}},
        "brief": {"model": "smollm2", "sampling": {"max_new_tokens": 64}},
    },
    **small_run(64),
}
Intervals = list[tuple[float, float]]


def main() -> None:
    """Run the demo in a copy of this project and report where its time went."""
    options = arguments(
        __doc__,
        full={"action": "store_true", "help": "the demo's own settings (long)"},
        engine={"choices": ["vllm", "transformers"], "default": "vllm"},
    )
    with tempfile.TemporaryDirectory() as scratch:
        plugin, times = Path(scratch) / "plugin", Path(scratch) / "times"
        times.mkdir()
        metadata = "Metadata-Version: 2.1\nName: timing\nVersion: 1.0\n"
        entry = "[kedro.hooks]\ntiming = timing:hooks\n"
        info = {"METADATA": metadata, "entry_points.txt": entry}
        write(plugin / "timing-1.0.dist-info", info)
        write(plugin, {"timing.py": PLUGIN, "sitecustomize.py": SITE})
        project = copy_project(Path(scratch) / "project")
        write(project / "conf" / "small", {"parameters.yml": json.dumps(SMALL)})
        environment = "base" if options.full else "small"
        kedro(
            project,
            "run",
            f"--env={environment}",
            f"--params=engine.name={options.engine}",
            path=(plugin,),
            environment={"PERSYN_TIMES": str(times)},
        )
        parts = where_time_went(times)
    total = sum(parts.values())
    outside = total - parts["children: model work"]
    rows = [{"part": k, "seconds": v, "share": v / total} for k, v in parts.items()]
    name = f"demo_overhead_{environment}_{options.engine}"
    report(name, rows, wall=total, outside_model_work=outside / total, aim=f"at most {AIM}")


def where_time_went(times: Path) -> dict[str, float]:
    """Return the seconds of each part; they add up to the run's wall time."""
    moments_file = next(times.glob("moments-*.json"))
    pid = int(moments_file.stem.partition("-")[2])
    moments = json.loads(moments_file.read_text())
    parent = json.loads((times / f"process-{pid}.json").read_text())
    processes = [json.loads(path.read_text()) for path in times.glob("process-*.json")]
    children = [p for p in processes if p["kind"] == "child"]
    servers = [(p["start"], p["last"]) for p in processes if p["kind"] == "server"]
    apart: Intervals = [(c["start"], c["end"]) for c in children]
    marks = [(parent["start"], "start-up"), *moments, (parent["end"], "end")]
    parts: dict[str, float] = {}
    for (start, what), (end, _) in zip(marks, marks[1:], strict=False):
        own = end - start - within([*apart, *servers], start, end)
        parts[f"parent: {what}"] = parts.get(f"parent: {what}", 0.0) + own
    imports = sum(c["imports"] for c in children)
    parts["server of the children: imports"] = sum(end - start for start, end in servers)
    parts["children: imports"] = imports
    parts["children: model work"] = sum(end - start for start, end in apart) - imports
    return parts


def within(apart: Intervals, start: float, end: float) -> float:
    """Return how long child processes ran between two times (one runs at a time)."""
    return sum(max(0.0, min(end, e) - max(start, s)) for s, e in apart)


if __name__ == "__main__":
    main()
