"""Steps run once more, by themselves, by other settings or on older versions."""

import pyarrow.parquet as pq
import pytest

from persyn_kedro.foundations.tables.added import ADDED
from persyn_kedro.pipeline_registry import STEPS, register_pipelines
from tests.conftest import Run
from tests.support.catalog import load, versions
from tests.support.same_data import differences, newest_data


def test_a_second_run_calls_no_teacher(smoke_project: Run) -> None:
    before = load(smoke_project.directory, "routed_responses")
    smoke_project("run", "--env=smoke", "--pipelines=label,generate", "--redo")
    for table in ("calibration_calls", "routed_calls"):
        assert sum(row["calls"] for row in load(smoke_project.directory, table)) == 0
    assert load(smoke_project.directory, "routed_responses") == before


# Of train_router and route tests below say it, and test_run_options.py of sft.
@pytest.mark.parametrize("step", [s for s in STEPS if s not in ("train_router", "route", "sft")])
def test_every_step_runs_on_its_own(smoke_project: Run, step: str) -> None:
    done = smoke_project("run", "--env=smoke", f"--pipelines={step}", "--redo")
    assert "Skipped" not in done.stdout


def test_two_processes_train_what_one_does(smoke_project: Run) -> None:
    # As it is once the store has every routed answer, so that no call differs.
    tables = "generate.generate_responses,generate.build_sft_dataset"
    drawn = "evaluate.summarise,evaluate.draw_run_plots"
    smoke_project("run", "--env=smoke", f"--nodes={tables},{drawn}", "--redo")
    alone = newest_data(smoke_project.directory)
    steps = "--pipelines=train_router,sft"
    processes = "--params=cluster.training_processes=2,cluster.sharding=fsdp"
    done = smoke_project("run", "--env=smoke", steps, processes)
    assert done.stdout.count("Skipped") == 3  # it changes nothing that is made
    # What follows of it too: other answers and scores of another student would show.
    redone = f"{steps},route,generate,evaluate"
    done = smoke_project("run", "--env=smoke", redone, processes, "--redo")
    assert "Skipped" not in done.stdout
    again = newest_data(smoke_project.directory)
    # The identity of weights hangs on their last bit, and that of an answer on it.
    apart = ["/test_responses_after/*/weights_id", "/test_*_after/*/response_key"]
    # Heads fitted anew without some prompts, whose fit ends at another last bit of the states.
    apart += ["/router/*/without_*"]
    assert list(differences(again, alone, within=1e-4, apart=apart)) == []
    assert list(differences(again["router"], alone["router"], within=1e-2)) == []
    for curve in ("router_training_curve", "training_curve"):
        assert list(differences(again[curve], alone[curve], within=1e-5)) == []


def test_load_versions_reruns_a_step_on_an_older_version(smoke_project: Run) -> None:
    oldest = versions(smoke_project.directory, "router")[0]
    root = smoke_project.directory / "data" / "smoke" / "07_model_output" / "assignments.parquet"
    first = pq.read_table(root / oldest / root.name).to_pylist()  # the same run made both
    other = "--params=train_router.epochs=3,train_router.head_learning_rate=0.5"
    done = smoke_project("run", "--env=smoke", "--pipelines=train_router", other, "--redo")
    assert "Skipped" not in done.stdout
    count = len(versions(smoke_project.directory, "assignments.parquet"))
    # The deprecated form of the option works too.
    done = smoke_project("run", "--env=smoke", "--pipeline=route", other, "--redo")
    assert "Skipped" not in done.stdout
    assert len(versions(smoke_project.directory, "assignments.parquet")) == count + 1
    assert load(smoke_project.directory, "assignments") != first
    smoke_project("run", "--env=smoke", "--pipelines=route", f"--load-versions=router:{oldest}")
    assert load(smoke_project.directory, "assignments") == first


def test_another_alpha_reuses_every_response(smoke_project: Run) -> None:
    smoke_project("run", "--env=smoke", "--pipelines=label", "--params=label.alpha=1.0", "--redo")
    assert sum(r["calls"] for r in load(smoke_project.directory, "calibration_calls")) == 0
    for row in load(smoke_project.directory, "rewards"):
        if row["valid"]:
            assert row["reward"] == pytest.approx(row["learnability_normalised"], abs=1e-12)


def test_tables_from_before_a_column_was_added_are_read(smoke_project: Run) -> None:
    smoke_project("run", "--env=smoke")  # other tests' runs may have left the student behind
    data = smoke_project.directory / "data" / "smoke"  # type: ignore[attr-defined]
    changed = set()
    for path in data.rglob("*.parquet"):
        if path.is_file():
            table = pq.read_table(path)
            # Only of judgements and statistics is the number of the sample new.
            old = {"sample_index"} if "finish_reason" in table.column_names else set()
            new = [n for n in table.column_names if n in ADDED - old]
            before = table.drop_columns(new)
            if before.column_names != table.column_names:
                pq.write_table(before, path)
                changed.add(path.relative_to(data).parts[1].removesuffix(".parquet"))
    tables = {"calibration_responses", "routed_responses", "calibration_calls", "routed_calls"}
    assert tables | {"responses"} <= changed
    done = smoke_project("run", "--env=smoke", "--pipelines=label,generate")
    assert "Running " not in done.stdout
    done = smoke_project("run", "--env=smoke", "--pipelines=evaluate", "--redo")
    assert done.stdout.count("Running ") == len(register_pipelines()["evaluate"].nodes)
    calls = load(smoke_project.directory, "calibration_calls")  # type: ignore[attr-defined]
    assert {row["cached_prompt_tokens"] for row in calls} == {None}
