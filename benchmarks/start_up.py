"""Start-up against an empty Kedro project: `kedro registry list`, and `kedro run` to its first node

    .venv/bin/python benchmarks/start_up.py

`kedro run --pipelines=route` is measured until its node would be called, its inputs loaded: a
plugin (by Kedro's entry point) ends the process there. Both projects run in one environment with
the same plugins. Target: at most 1.5 times the empty one, and nothing heavy imported before a node.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from measuring import alternate, arguments, compared, report
from project_copy import ROOT, copy_project, kedro, write

AIM = 1.5
HEAVY = (
    "torch transformers vllm ray trl peft accelerate datasets sklearn scipy matplotlib aiohttp "
    "huggingface_hub reasoning_gym math_verify lm_eval gguf"
).split()
ROUTE = ("run", "--pipelines=route")
PLUGIN = """
import os, sys
from kedro.framework.hooks import hook_impl

class Stop:
    @hook_impl(tryfirst=True)
    def before_node_run(self, node):
        print("first node", *sorted({name.partition(".")[0] for name in sys.modules}), flush=True)
        sys.stderr.flush()
        os._exit(0)

hooks = Stop()
"""
EMPTY = {
    "pyproject.toml": """
[tool.kedro]
package_name = "empty"
project_name = "empty"
kedro_init_version = "1.7.0"
source_dir = "src"
""",
    "src/empty/__init__.py": "",
    "src/empty/settings.py": "",
    "src/empty/pipeline_registry.py": """
from kedro.pipeline import Pipeline, node

def nothing():
    return 1

def register_pipelines():
    pipeline = Pipeline([node(nothing, None, "out", name="nothing")])
    return {"__default__": pipeline, "route": pipeline}
""",
    "conf/base/catalog.yml": "",
    "conf/base/parameters.yml": "",
    "conf/local/catalog.yml": "",
    "conf/logging.yml": (ROOT / "conf" / "logging.yml").read_text(),
}


def main() -> None:
    """Measure both commands in both projects, and list what is imported before a node."""
    options = arguments(__doc__)
    with projects() as (ours, empty):
        route = [*ROUTE, "--env=smoke", "--params=train_router.kind=knn"]
        modules = {name: first_node(run) for name, run in check(ours, empty, route).items()}
        seconds = {
            **alternate(
                {
                    "registry list, empty": partial(empty, "registry", "list"),
                    "registry list, ours": partial(ours, "registry", "list"),
                },
                options.repeats,
            ),
            **alternate(
                {"run, empty": partial(empty, *ROUTE), "run, ours": partial(ours, *route)},
                options.repeats,
            ),
        }
        imports = own_imports(ours, empty, route)
    rows = []
    for command in ("registry list", "run"):
        ways = {k: v for k, v in seconds.items() if k.startswith(command)}
        rows += compared(ways, to=f"{command}, empty")
    for row in rows:
        row["times the empty"] = 1 / row["ratio"]
    heavy = sorted(modules["run"] & set(HEAVY))
    report(
        "start_up",
        rows,
        aim=f"at most {AIM} times the empty project",
        met=all(row["times the empty"] <= AIM for row in rows),
        heavy_before_the_first_node=", ".join(heavy) or "none",
        heavy_after_registry_list=", ".join(sorted(modules["list"] & set(HEAVY))) or "none",
        light_but_there=", ".join(sorted(modules["run"] & {"pandas", "numpy", "pyarrow"})),
        import_ms_more_than_empty=", ".join(f"{k} {v:.0f}" for k, v in imports),
    )


@contextmanager
def projects() -> Iterator[tuple[Callable[..., str], Callable[..., str]]]:
    """Yield functions that run ``kedro`` in a copy of this project and in an empty one."""
    with tempfile.TemporaryDirectory() as scratch:
        plugin, ours, empty = (Path(scratch) / name for name in ("plugin", "ours", "empty"))
        write(plugin, {"stop.py": PLUGIN})
        write(empty, EMPTY)
        copy_project(ours)
        knn = "--params=train_router.kind=knn"
        run = partial(kedro, ours, path=(plugin,))
        run("run", "--env=smoke", "--pipelines=prepare,label,train_router", knn)
        metadata = "Metadata-Version: 2.1\nName: stop\nVersion: 1.0\n"
        entry = "[kedro.hooks]\nstop = stop:hooks\n"
        write(plugin / "stop-1.0.dist-info", {"METADATA": metadata, "entry_points.txt": entry})
        yield run, partial(kedro, empty, path=(plugin,))


def check(
    ours: Callable[..., str], empty: Callable[..., str], route: list[str]
) -> dict[str, Callable[[], str]]:
    """Check that each command works; return those whose imports are listed."""
    from persyn_kedro.pipeline_registry import register_pipelines

    listed = {line.removeprefix("- ") for line in ours("registry", "list").splitlines() if line}
    right = listed == set(register_pipelines()) and "- route" in empty("registry", "list")
    if not right or "first node" not in empty(*ROUTE):
        raise SystemExit(f"The commands do not work: {listed}")
    listing = ("-X", "importtime")
    return {
        "run": lambda: ours(*route),
        "list": lambda: (
            "first node " + " ".join(imported(ours("registry", "list", python=listing)))
        ),
    }


def first_node(run: Callable[[], str]) -> set[str]:
    """Return the packages imported before the first node."""
    (line,) = [x for x in run().splitlines() if x.startswith("first node ")]
    return set(line.split()[2:])


def imported(output: str) -> Counter[str]:
    """Return the milliseconds spent in each package's own modules, from ``-X importtime``."""
    spent: Counter[str] = Counter()
    for microseconds, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \| +([\w.]+)", output):
        spent[name.partition(".")[0]] += int(microseconds) / 1000  # type: ignore[assignment]
    return spent


def own_imports(
    ours: Callable[..., str], empty: Callable[..., str], route: list[str]
) -> list[tuple[str, float]]:
    """Return the packages whose import costs this project's run more than the empty one's."""
    listing = ("-X", "importtime")
    more = imported(ours(*route, python=listing))
    more.subtract(imported(empty(*ROUTE, python=listing)))
    return [(name, spent) for name, spent in more.most_common(6) if spent >= 2]


if __name__ == "__main__":
    main()
