"""Kedro's options of ``run`` that choose what is run: each chooses just that."""

import re

import pytest

from tests.conftest import Run
from tests.support.catalog import load

QUALITY = {"label.score_quality"}


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        (["--nodes=label.score_quality"], QUALITY),
        (["--from-nodes=label.score_quality", "--to-nodes=label.score_quality"], QUALITY),
        (["--from-inputs=calibration_responses", "--to-outputs=quality"], QUALITY),
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
    done = smoke_project("run", "--env=smoke", "--pipelines=sft", seed, "--redo")
    assert "Running sft." in done.stdout and "Skipped" not in done.stdout
    names = "{name: pool_matrix, size: 9}, {name: chain_sum, size: 9}"
    tasks = f"prepare.source.tasks=[{names}]"
    smoke_project("run", "--env=smoke", "--nodes=prepare.read_prompts", f"{seed},{tasks}")
    prompts = load(smoke_project.directory, "source_prompts")  # type: ignore[attr-defined]
    assert {row["source"] for row in prompts} == {"pool_matrix", "chain_sum"}
