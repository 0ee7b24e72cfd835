"""Steps run alone after an earlier one was made anew: through the command line, on real tables."""

import json
import subprocess

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.belonging import check_belonging
from persyn_kedro.runs.records import inputs_read, settings_in
from tests.conftest import Run
from tests.support.catalog import load, versions

JSON = {"trace": [], "explain": ["--json"]}
SCORE = "--from-nodes=label.score_quality", "--to-nodes=label.score_quality"


@pytest.fixture(scope="module")
def project(smoke_project: Run) -> Run:
    """A project whose prompts were made anew by another seed, and nothing after them."""
    smoke_project("run", "--env=smoke", "--pipelines=prepare", "--params=seed=8")
    return smoke_project


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a refused run says, in one line, before it does anything."""
    assert done.returncode == 1 and "Traceback" not in done.stderr + done.stdout
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    return line


def test_a_step_alone_says_which_inputs_are_of_other_prompts_and_what_to_do(project: Run) -> None:
    old, new = versions(project.directory, "source_prompts.parquet")
    done = project("run", "--env=smoke", *SCORE, check=False)
    assert "Running" not in done.stdout
    assert sentence(done) == (
        "Error: The inputs of label.score_quality do not belong together, as calibration_responses "
        f"({old}) was not made from the newest source_prompts ({new}): run `kedro run "
        "--pipelines=label`, or load versions that belong together with "
        f"--load-versions=source_prompts:{old}."
    )
    done = project("run", "--env=smoke", *SCORE, f"--load-versions=source_prompts:{old}", "--redo")
    assert "Done label.score_quality" in done.stdout


def test_every_node_of_the_main_path_is_held_to_it(project: Run) -> None:
    bootstrap_project(project.directory)
    with KedroSession.create(project_path=project.directory, env="smoke") as session:
        catalog = session.load_context().catalog
    settings = settings_in(catalog)
    whole = register_pipelines()["__default__"]
    made = {"source_prompts", "prompts"}
    later = whole.from_inputs(*made).all_outputs() - made
    refused = set()
    for node in whole.nodes:
        try:
            check_belonging(Pipeline([node]), catalog, settings)
        except PersynError as error:
            assert str(error).startswith(f"The inputs of {node.name} do not belong together, as ")
            refused.add(node.name)
    assert refused == {
        node.name
        for node in whole.nodes
        if made & set(inputs_read(node, settings)) and later & set(inputs_read(node, settings))
    }


@pytest.mark.parametrize(
    ("options", "node"),
    [
        (["--pipelines=evaluate"], "evaluate.answer_test_after"),
        (["--pipelines=compare"], "compare.route_variants"),
        (["--pipelines=export"], "preferences.prefer_answers"),
    ],
)
def test_steps_that_measure_and_export_are_held_to_it(
    project: Run, options: list[str], node: str
) -> None:
    done = project("run", "--env=smoke", *options, check=False)
    assert sentence(done).startswith(f"Error: The inputs of {node} do not belong together, as ")


def test_what_a_run_makes_itself_is_held_to_it(project: Run) -> None:
    nodes = "--nodes=prepare.read_prompts,label.score_quality"
    done = project("run", "--env=smoke", nodes, "--params=seed=9", check=False)
    new = versions(project.directory, "source_prompts.parquet")[-1]
    assert f"was not made from the newest source_prompts ({new}): run `" in sentence(done)
    assert "Done prepare.read_prompts" in done.stdout  # that much was known only then
    assert "Running label.score_quality" not in done.stdout
    project("run", "--env=smoke", "--pipelines=prepare", "--params=seed=8")


def test_what_looks_at_the_newest_results_goes_on_with_what_they_were_made_from(
    project: Run,
) -> None:
    old = versions(project.directory, "prompts.parquet")[0]
    row = load(project.directory, "sft_dataset")[0]
    for command in ("trace", "explain"):
        done = project(command, row["prompt_id"], "--env=smoke", *JSON[command])
        found = json.loads(done.stdout[done.stdout.index("{") :])
        assert found["versions"]["prompts"] == old
    done = project("run", "--env=smoke", "--pipelines=plan", "--params=seed=8")
    assert "Done plan.plan_run" in done.stdout


def test_the_command_that_is_named_mends_it(project: Run) -> None:
    project("run", "--env=smoke", "--pipelines=label")
    done = project("run", "--env=smoke", *SCORE)
    assert "Skipped label.score_quality" in done.stdout
