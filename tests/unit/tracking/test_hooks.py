"""A run as its tracker sees it: parameters, numbers, curves, files, links; and when it fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from persyn_kedro.datasets.documents import Figures, JsonDocument
from persyn_kedro.datasets.handles import Workspace
from persyn_kedro.foundations import progress, tracking
from persyn_kedro.foundations.errors import Interrupted, Waiting
from persyn_kedro.foundations.settings import SftSettings
from persyn_kedro.runs.tracking import TrackingHooks
from tests.support.recording_tracker import RecordingTracker
from tests.support.settings import SHORTEST

VERSION = "2030-01-01T00.00.00.000Z"
MANIFEST = {
    "run": VERSION, "status": "complete", "git_commit": "abc", "seconds": {"train": 1.5},
    "loaded": {}, "skipped": {"old": {"old_metrics": "2029"}}, "saved": {"training_curve": VERSION},
}  # fmt: skip


def train(sft: SftSettings) -> list[dict[str, float]]:
    """Train as the student's trainer does: resumed, so that it tells only the last step."""
    with progress.watching("training", 2, "steps") as watch:
        watch.measure(2, {"loss": 1.0, "grad_norm": 0.5})
    with progress.part(strategy="persyn", seed=1), progress.watching("again", 1, "steps") as watch:
        watch.measure(1, {"loss": 7.0})
    return [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]


def fit(training_curve: Any) -> dict[str, float]:
    with progress.watching("fitting", 1, "steps") as watch:
        watch.measure(1, {"loss": 9.0})  # one of many fits: nobody's curve
    return {"accuracy": 0.5}


def fail(metrics: Any) -> None:
    raise RuntimeError("no such luck")


NODES = [
    node(train, ["params:sft"], "training_curve", name="train"),
    node(fit, "training_curve", "metrics", name="fit"),
]


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingTracker]:
    found = RecordingTracker()
    monkeypatch.setattr(tracking, "trackers_of", lambda settings: dict.fromkeys(settings.to, found))
    yield found
    progress.listen(None)


def run(
    directory: Path,
    nodes: list[Any],
    *,
    fails: bool = False,
    without: tuple[str, ...] = (),
    pipelines: list[str] | None = None,
    **settings: Any,
) -> None:
    """Run the nodes with the hook alone, as Kedro's session does."""
    at = {"version": Version(None, VERSION)}
    figures = ("training_curve", "preference_curve", "metrics")
    raw = {**SHORTEST, "sft": {"epochs": 3}, "tracking": settings}
    entries = {
        **{n: Figures(filepath=str(directory / f"{n}.json"), **at) for n in figures},
        "run_manifest": JsonDocument(filepath=str(directory / "run_manifest.json"), **at),
        "tracking_files": Workspace(filepath=str(directory / "tracking")),
        **{f"params:{name}": MemoryDataset(value) for name, value in raw.items()},
    }
    catalog = DataCatalog({name: one for name, one in entries.items() if name not in without})
    hooks = _create_hook_manager()
    hooks.register(TrackingHooks())
    pipeline = Pipeline(nodes)
    hooks.hook.before_pipeline_run(
        run_params={"session_id": VERSION, "pipeline_names": pipelines},
        pipeline=pipeline,
        catalog=catalog,
    )
    try:
        SequentialRunner().run(pipeline, catalog, hooks)
    except (RuntimeError, Interrupted, Waiting) as error:
        catalog.save("run_manifest", {**MANIFEST, "status": "failed"})
        hooks.hook.on_pipeline_error(error=error, run_params={}, pipeline=pipeline, catalog=catalog)
        assert fails
        return
    catalog.save("run_manifest", MANIFEST)
    hooks.hook.after_pipeline_run(run_params={}, run_result={}, pipeline=pipeline, catalog=catalog)


def test_a_run_is_followed_from_its_parameters_to_its_links(
    tmp_path: Path, tracker: RecordingTracker
) -> None:
    run(tmp_path, NODES, to=["tensorboard"])
    parameters = tracker.parameters[VERSION]
    assert parameters["sft.epochs"] == "3.0" and parameters["sft.lora"] == "null"
    assert not [key for key in parameters if not key.startswith("sft.")]  # what the steps read
    assert [(m.step, m.values) for m in tracker.measured if not m.part] == [
        (2, {"training_curve/loss": 1.0, "training_curve/grad_norm": 0.5}),  # live
        (1, {"training_curve/loss": 2.0}),  # of before it was resumed: from the table
        (None, {"metrics/accuracy": 0.5}),
        (None, {"seconds/train": 1.5}),
    ]
    (child,) = [m for m in tracker.measured if m.part]
    assert child.part == (("strategy", "persyn"), ("seed", 1))
    assert child.values == {"training_curve/loss": 7.0}
    assert set(tracker.files) == {"training_curve.json", "metrics.json", "run_manifest.json"}
    assert tracker.facts == {
        "status": "complete",
        "run": VERSION,
        "manifest": str(tmp_path / "run_manifest.json" / VERSION / "run_manifest.json"),
        "git_commit": "abc",
        "version.old_metrics": "2029",
        "version.training_curve": VERSION,
    }
    assert tracker.ending == "complete"


def test_a_runs_name_may_be_chosen(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(tmp_path, NODES, to=["tensorboard"], name="mine")
    assert list(tracker.parameters) == ["mine", "mine strategy persyn, seed 1"]


def test_a_run_of_some_pipelines_is_named_after_them(
    tmp_path: Path, tracker: RecordingTracker
) -> None:
    run(tmp_path, NODES, pipelines=["label", "sft"], to=["tensorboard"])
    assert next(iter(tracker.parameters)) == f"{VERSION} label sft"


def test_preferences_are_followed_while_they_are_trained_on(
    tmp_path: Path, tracker: RecordingTracker
) -> None:
    run(tmp_path, [node(train, ["params:sft"], "preference_curve")], to=["tensorboard"])
    first = next(m for m in tracker.measured if not m.part)
    assert first.values == {"preference_curve/loss": 1.0, "preference_curve/grad_norm": 0.5}


def test_a_catalog_without_a_place_for_trackers_costs_no_run(
    tmp_path: Path, tracker: RecordingTracker, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, NODES, to=["tensorboard"], without=("tracking_files",))
    assert tracker.calls == [] and (tmp_path / "metrics.json").exists()
    assert "This run is not tracked: " in caplog.text


def test_a_run_without_trackers_tells_nobody(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(tmp_path, NODES, to=[])
    assert tracker.calls == []


def test_files_over_the_limit_stay_here(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(tmp_path, NODES, to=["tensorboard"], max_file_mb=0.0)
    assert tracker.files == {} and tracker.ending == "complete"


def test_a_run_that_fails_ends_as_failed(tmp_path: Path, tracker: RecordingTracker) -> None:
    run(tmp_path, [*NODES, node(fail, "metrics", None)], fails=True, to=["tensorboard"])
    assert tracker.facts["status"] == "failed" and tracker.ending == "failed"
    assert tracker.values()["metrics/accuracy"] == 0.5


def test_a_run_without_a_manifest_ends_all_the_same(
    tmp_path: Path, tracker: RecordingTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as on a full disk: it would be open until the process ends, and then interrupted."""

    def lost(*_: Any) -> Any:
        raise DatasetError("no manifest")

    monkeypatch.setattr("persyn_kedro.runs.measurements.links_of", lost)
    run(tmp_path, [*NODES, node(fail, "metrics", None)], fails=True, to=["tensorboard"])
    assert tracker.ending == "failed"


@pytest.mark.parametrize("error", [Interrupted, Waiting])
def test_a_run_that_the_same_command_goes_on_with_has_not_failed(
    error: type[Exception], tmp_path: Path, tracker: RecordingTracker
) -> None:
    def interrupt(metrics: Any) -> None:
        raise error("interrupted, or waiting for a batch service")

    run(tmp_path, [*NODES, node(interrupt, "metrics", None)], fails=True, to=["tensorboard"])
    assert tracker.ending == "interrupted"


def test_a_fault_in_what_is_measured_costs_no_run(
    tmp_path: Path,
    tracker: RecordingTracker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(name: str, dataset: Any) -> Any:
        raise TypeError("not like that")

    monkeypatch.setattr("persyn_kedro.runs.measurements.measurements_of", broken)
    run(tmp_path, NODES, to=["tensorboard"])
    told = [r.getMessage() for r in caplog.records if r.name == "persyn_kedro.runs.tracking"]
    assert told == ["Tracking stopped, the run goes on: TypeError('not like that')"]
    assert tracker.ending == "failed"
