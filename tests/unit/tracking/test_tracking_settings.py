"""Settings of trackers: refused before a run if they cannot be used, and in no step's record."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import TrackingSettings, lasting, read_group
from persyn_kedro.foundations.tracking import check_tracking, trackers_of
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.records import groups_of

INSTALLS = {
    "mlflow": "pip install 'persyn-kedro[mlflow]'",
    "trackio": "pip install 'persyn-kedro[trackio]'",
    "wandb": "pip install 'persyn-kedro[wandb]'",
    "tensorboard": "pip install tensorboardX",
}


@pytest.mark.parametrize("name", INSTALLS)
def test_a_missing_library_is_named_with_its_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PersynError) as error:
        check_tracking(read_group("tracking", {"to": [name]}))
    assert str(error.value) == (
        f"tracking.to: {name} is not installed: run `{INSTALLS[name]}`, or leave it out."
    )


def test_mlflow_needs_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ModuleSpec("mlflow", None, origin="mlflow/__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: installed)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(PersynError, match="^tracking.mlflow.uri is not set: "):
        check_tracking(read_group("tracking", {"to": ["mlflow"]}))
    check_tracking(read_group("tracking", {"to": ["mlflow"], "mlflow": {"uri": "http://x:1"}}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://x:1")
    check_tracking(read_group("tracking", {"to": ["mlflow"]}))


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(PersynError, match=r"^Parameter tracking.to.0: .*'tensorboard'.*'comet'"):
        read_group("tracking", {"to": ["comet"]})


def test_by_default_only_files_are_written_and_nothing_is_sent() -> None:
    default = TrackingSettings()
    assert list(trackers_of(default)) == ["tensorboard"]
    assert default.wandb.mode == "offline" and default.mlflow.uri is None


def test_no_step_reads_the_trackers_settings_so_none_runs_again() -> None:
    nodes = [node for pipeline in register_pipelines().values() for node in pipeline.nodes]
    assert "tracking" not in groups_of(nodes) and "sft" in groups_of(nodes)
    assert lasting(TrackingSettings()) == {}
