"""Kedro's options of ``run`` that choose what is run: each chooses just that."""

import re

import pytest

from tests.conftest import Run
from tests.support.catalog import load
from tests.support.event_files import scalars_and_texts

QUALITY = {"label.score_quality"}


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        (["--nodes=label.score_quality"], QUALITY),
        (["--from-nodes=label.score_quality", "--to-nodes=label.score_quality"], QUALITY),
        (["--from-inputs=calibration_responses", "--to-outputs=quality"],
         QUALITY | {"label.score_quality_terms"}),
        (["--pipelines=label", "--nodes=label.score_quality"], QUALITY),
        (["--config=run.yml"], QUALITY),
        (["--nodes=label.score_quality", "--runner=persyn_kedro.runs.runner.ResumingRunner"],
         QUALITY),
    ],
)  # fmt: skip
def test_a_part_of_the_steps_is_run(
    smoke_project: Run, options: list[str], nodes: set[str]
) -> None:
    config = smoke_project.directory / "run.yml"  # type: ignore[attr-defined]
    config.write_text(
        "run:\n  node_names: label.score_quality\n  params: {compare: {seeds: [4]}}\n"
    )
    done = smoke_project("run", "--env=smoke", *options)
    assert set(re.findall(r"Skipped (\S+):", done.stdout)) == nodes
    assert "Running" not in done.stdout


def test_settings_for_vllm_are_unused_by_another_engine_and_redo_nothing(
    smoke_project: Run,
) -> None:
    """As a project's settings have them that a laptop and a GPU machine share."""
    given = "--params=engine.vllm.kv_cache_dtype=fp8,models.tiny-b.vllm.quantization=fp8"
    done = smoke_project("run", "--env=smoke", "--pipelines=generate,sft", given)
    assert "Skipped sft.train_student:" in done.stdout and "Running" not in done.stdout
    told = " ".join(done.stdout.split())
    assert told.count("Engine transformers does not read engine.vllm, models.tiny-b.vllm") == 1
    assert "does not read" not in smoke_project("run", "--env=smoke", "--pipelines=route").stdout


def test_a_password_in_a_setting_is_written_nowhere(smoke_project: Run) -> None:
    given = (
        "tracking.to=[tensorboard,mlflow],tracking.mlflow.uri=http://me:s3cret@127.0.0.1:9/x,"
        "cluster.runtime_env.env_vars.TOKEN=s3cret"
    )
    done = smoke_project("run", "--env=smoke", "--pipelines=prepare", f"--params={given}")
    assert "Tracking with mlflow stopped" in done.stdout
    directory = smoke_project.directory  # type: ignore[attr-defined]
    changed = load(directory, "run_manifest")["changed_parameters"]
    assert changed["tracking"]["mlflow"]["uri"] == "http://***@127.0.0.1:9/x"
    assert changed["cluster"]["runtime_env"]["env_vars"] == {"TOKEN": "***"}
    assert "s3cret" not in done.stdout + done.stderr
    files = [f for f in directory.rglob("*") if f.is_file() and ".git" not in f.parts]
    assert not [f for f in files if b"s3cret" in f.read_bytes()]


def test_a_namespace_is_run_alone(smoke_project: Run) -> None:
    done = smoke_project(
        "run", "--env=smoke", "--pipelines=compare_routers", "--namespaces=compare_routers",
        "--params=compare_routers.kinds=[linear,knn],compare_routers.folds=2,"
        "compare_routers.sizes=[1.0]",
    )  # fmt: skip
    ran = set(re.findall(r"(?:Running|Skipped) (\S+):", done.stdout))
    assert ran and all(name.startswith("compare_routers.") for name in ran)


def test_a_list_and_a_text_with_a_comma_reach_the_settings(smoke_project: Run) -> None:
    smoke_project(
        "run", "--env=smoke", "--pipelines=prepare",
        '--params=compare.seeds=[1,2],student.system="Be brief, please.",sft.learning_rate=1e-5',
    )  # fmt: skip
    settings = load(smoke_project.directory, "run_manifest")["changed_parameters"]  # type: ignore[attr-defined]
    assert settings["compare"]["seeds"] == [1, 2]
    assert settings["student"]["system"] == "Be brief, please."
    assert settings["sft"]["learning_rate"] == 1e-5


def test_the_largest_seed_prepares_and_trains(smoke_project: Run) -> None:
    """Also where numpy, which takes no larger one, draws with it."""
    seed = f"--params=seed={2**32 - 1}"
    tracked = f"{seed},tracking.to=[tensorboard],tracking.name=trained"
    done = smoke_project("run", "--env=smoke", "--pipelines=sft", tracked, "--redo")
    assert "Running sft." in done.stdout and "Skipped" not in done.stdout
    directory = smoke_project.directory  # type: ignore[attr-defined]
    scalars, _ = scalars_and_texts(directory / "data/smoke/tracking/tensorboard/trained")
    losses = {row["step"]: row["loss"] for row in load(directory, "training_curve")[1:]}
    told = {step: loss for (name, step), loss in scalars.items() if name == "training_curve/loss"}
    assert told == pytest.approx(losses, abs=1e-3) and len(told) > 1
    assert ("training_curve/grad_norm", 1) in scalars  # what TRL logs, told while it trains
    names = "{name: pool_matrix, size: 9}, {name: chain_sum, size: 9}"
    tasks = f"prepare.source.tasks=[{names}]"
    smoke_project("run", "--env=smoke", "--nodes=prepare.read_prompts", f"{seed},{tasks}")
    prompts = load(smoke_project.directory, "source_prompts")  # type: ignore[attr-defined]
    assert {row["source"] for row in prompts} == {"pool_matrix", "chain_sum"}
