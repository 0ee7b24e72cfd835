"""The recipes of deploy/ and docs/scale.md, as far as they can be run without a cluster."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from persyn_kedro import cli
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.pipeline_registry import register_pipelines

ROOT = Path(__file__).parents[2]
SLURM = ROOT / "deploy" / "slurm_ray.sh"


def prepared() -> dict[str, Any]:
    """Return the cluster's YAML as ``ray up`` prepares it before it asks the cloud."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(yaml.safe_load((ROOT / "deploy" / "ray_cluster.yaml").read_text()))


def test_rays_own_validator_takes_the_cluster_and_refuses_a_wrong_one() -> None:
    from ray.autoscaler._private.util import validate_config

    validate_config(prepared())
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        validate_config({**prepared(), "max_worker": 4})
    with pytest.raises(ValueError, match="head_node_type"):
        validate_config({**prepared(), "head_node_type": "nobody"})


def test_the_clusters_nodes_have_the_ray_that_the_project_pins() -> None:
    import ray

    image = prepared()["docker"]["image"]
    assert image.startswith(f"rayproject/ray:{ray.__version__}-py311")
    commands = prepared()["setup_commands"]
    assert any("[ray,s3,vllm]" in command for command in commands)
    assert not any(quote + "~" in command for command in commands for quote in "'\"")


SRUN = """#!/bin/bash
# One process a node here; this one is the first node's, the others' would wait for it.
while [[ $1 == --* ]]; do echo "srun $1" >> "$SEEN"; shift; done
exec "$@"
"""
RAY = """#!/bin/bash
echo "token $RAY_AUTH_MODE ${#RAY_AUTH_TOKEN}" >> "$SEEN"
echo "ray $*" >> "$SEEN"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
KEDRO = """#!/bin/bash
echo "kedro $*" >> "$SEEN"
exit 3
"""


def test_the_slurm_script_starts_ray_on_every_node_and_the_run_on_the_first(
    tmp_path: Path,
) -> None:
    """Slurm and Ray are stand-ins that note how they are called, the shell is the real one."""
    scontrol = '#!/bin/bash\n[ "$*" = "show hostnames n[1-3]" ] && printf "n1\\nn2\\nn3\\n"\n'
    programs = {"srun": SRUN, "ray": RAY, "kedro": KEDRO, "scontrol": scontrol}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    job = {
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_JOB_NUM_NODES": "3",
        "SLURM_JOB_ID": "40007",
        "SLURM_CPUS_PER_TASK": "64",
        "SLURM_GPUS_ON_NODE": "8",
    }
    seen = tmp_path / "seen"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SEEN": str(seen), **job}
    done = subprocess.run(
        ["bash", str(SLURM), "--pipelines=label"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr  # that of the run
    lines = seen.read_text().splitlines()
    assert {"srun --nodes=3", "srun --ntasks=3", "token token 64"} <= set(lines)
    ray, kedro = lines[-2:]
    assert ray.startswith("ray symmetric-run --address n1:20007 --min-nodes 3 --num-cpus 64 ")
    assert kedro == "kedro run --env=cluster --pipelines=label"


def test_ray_knows_what_the_slurm_script_calls() -> None:
    """``ray symmetric-run`` and its options are those of the Ray that is pinned."""
    from ray.scripts.scripts import cli as ray

    words = SLURM.read_text().partition("ray symmetric-run")[2].partition(" -- ")[0].split()
    options = [word for word in words if word.startswith("--")]
    known = {name for command in ("symmetric-run", "start") for parameter in
             ray.commands[command].params for name in parameter.opts}  # fmt: skip
    assert options and set(options) <= known
    assert {"--address", "--min-nodes"} <= {
        name for parameter in ray.commands["symmetric-run"].params for name in parameter.opts
    }


def test_the_commands_of_the_page_are_commands_and_settings() -> None:
    text = (ROOT / "docs" / "scale.md").read_text().replace("\\\n", "")
    lines = [line.split("#")[0] for line in text.splitlines() if line.startswith("kedro ")]
    assert lines
    for line in lines:
        words = line.split()
        context = cli.cli.commands[words[1]].make_context(words[1], words[2:])
        assert set(context.params["pipelines"] or ()) <= set(register_pipelines())
        changed = context.params["params"]
        assert changed and set(changed) <= {"cluster", "engine"}
        ClusterSettings(**changed.get("cluster", {}))
        EngineSettings(**changed.get("engine", {}))


def sizing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sizing", ROOT / "benchmarks" / "sizing.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sizing"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_the_sizing_tables_are_what_the_program_prints() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "sizing.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    printed = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    tables = printed.strip().split("\n\n")
    page = (ROOT / "docs" / "scale.md").read_text()
    assert len(tables) == 6
    for table in tables:
        assert table in page, f"run benchmarks/sizing.py and paste its tables:\n{table}"


def test_the_sizing_counts_calls_as_the_method_does() -> None:
    program = sizing()
    given = program.assumptions([])
    for name, teachers in (("paper_instruct", 19), ("paper_math", 15)):
        job = program.read_job(name, given)
        *_, whole = program.class_rows(job, given)
        n, answered = 3125, {"paper_instruct": 50_000, "paper_math": 10_000}[name]
        assert len(job.pool) == teachers
        assert round(whole["calls"]) == teachers * n + answered - n  # K n + (N - n)
        assert whole["Generate-then-Select: calls"] == teachers * answered


def test_the_sizing_passes_through_the_published_rates() -> None:
    program = sizing()
    given = program.assumptions(["--bfloat16-share=1"])
    for billions, rate in program.PUBLISHED[2000].items():
        teacher = program.Teacher(billions, False, False, 1, 600)
        assert program.tokens_a_second(teacher, given) == pytest.approx(rate)
    half = program.assumptions(["--bfloat16-share=0.5", "--price=6"])
    base = program.assumptions(["--bfloat16-share=1", "--price=3"])
    slow, fast = (program.total_row(program.read_job("paper_math", a), a) for a in (half, base))
    assert slow["of these teachers"] > fast["of these teachers"]
    assert slow["cost, $"] == pytest.approx(6 * slow["GPU-h"])
