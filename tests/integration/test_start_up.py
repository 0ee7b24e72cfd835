"""What a command of Kedro imports of this project before it needs it, and the lazy registry."""

import copy
import importlib.util
import subprocess
import sys

import pytest
from kedro.pipeline import Pipeline, node

from persyn_kedro.pipeline_registry import MAKERS, STEPS, register_pipelines
from persyn_kedro.pipelines.lazy import LazyPipeline
from persyn_kedro.runs.preload import imports_of
from persyn_kedro.runs.records import needs_of

HEAVY = (
    "torch transformers vllm trl peft sklearn datasets accelerate scipy matplotlib aiohttp "
    "tensorboardX mlflow trackio wandb"
)


def imported(code: str) -> set[str]:
    """Return the modules that a new Python has imported after ``code``."""
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_list_of_the_pipelines_imports_no_node_and_no_library() -> None:
    code = "import persyn_kedro.settings, persyn_kedro.pipeline_registry as r; "
    modules = imported(code + "sorted(r.register_pipelines())")
    pipelines = {name for name in modules if name.startswith("persyn_kedro.pipelines.")}
    assert pipelines == {"persyn_kedro.pipelines.lazy"}
    assert not modules & {"pydantic", "pyarrow", "pandas", "numpy", *HEAVY.split()}


def test_no_node_imports_anything_heavy() -> None:
    code = "import persyn_kedro.pipeline_registry as r, persyn_kedro.runs.preflight; "
    modules = imported(code + "[p.nodes for p in r.register_pipelines().values()]")
    assert "persyn_kedro.pipelines.compare.students" in modules
    assert not modules & set(HEAVY.split())


def test_tensorboard_s_files_are_written_without_torch() -> None:
    modules = imported(
        "from persyn_kedro.foundations.tracking.tensorboard import TensorboardTracker as T; "
        "from persyn_kedro.foundations.tracking.base import TrackedRun; "
        "import tempfile, pathlib; t = T(); "
        "t.start(TrackedRun('p', 'r', {}, pathlib.Path(tempfile.mkdtemp()))); t.finish('finished')"
    )
    assert "tensorboardX" in modules and "torch" not in modules


def test_a_lazy_pipeline_is_made_once_and_is_the_pipeline() -> None:
    made = []

    def create() -> Pipeline:
        made.append(1)
        return Pipeline([node(len, "a", "b", name="one")])

    lazy = LazyPipeline(create)
    assert not made and isinstance(lazy, Pipeline)
    assert (lazy + Pipeline([node(len, "b", "c", name="two")])).outputs() == {"c"}
    assert [n.name for n in lazy.nodes] == ["one"] and lazy.inputs() == {"a"}
    assert [n.name for n in copy.deepcopy(lazy).filter(to_nodes=["one"]).nodes] == ["one"]
    assert len(made) == 1
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        lazy.absent  # noqa: B018


def test_a_broken_step_says_so_at_each_look() -> None:
    def create() -> Pipeline:
        raise ImportError("no such node")

    lazy = LazyPipeline(create)
    for _ in range(2):
        with pytest.raises(ImportError, match="no such node"):
            lazy.nodes  # noqa: B018


def test_every_registered_pipeline_is_what_its_steps_make() -> None:
    registered = register_pipelines()
    both = MAKERS["compare_routers"]() + MAKERS["compare"]()
    assert {n.name for n in registered["compare"].nodes} == {n.name for n in both.nodes}
    assert registered["route"].outputs() == {"assignments"}  # whose node reads the rest
    assert not {"trials", "router_scores"} & registered["__default__"].all_outputs()


def test_the_models_processes_import_ahead_what_exists_and_only_what_they_need() -> None:
    def of(*steps: str, engine: str = "vllm") -> list[str]:
        return imports_of(needs_of([n for step in steps for n in MAKERS[step]().nodes]), engine)

    whole = of(*STEPS)
    assert {"vllm.entrypoints.llm", "trl.trainer.sft_trainer"} <= {*whole}
    # The server leaves out what it cannot import without a word, so a wrong name would hide.
    assert all(importlib.util.find_spec(name) for name in whole if not name.startswith("vllm"))
    assert "vllm.entrypoints.llm" not in of(*STEPS, engine="transformers")
    assert not [m for m in of("route") if m.startswith(("vllm", "trl"))]
    assert of("prepare", "plan", "export") == of("label", "benchmark") == []
    assert of("sft") == of("train_reward_model") and "peft" in of("sft")
