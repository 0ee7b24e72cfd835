"""What is sent to trackers arrives in order; one that fails or hangs gets one warning."""

import logging
from pathlib import Path

import pytest

from persyn_kedro.foundations.tracking import (
    Ending,
    Measurement,
    Outbox,
    TrackedRun,
    Tracker,
    outbox,
)
from tests.support.recording_tracker import DyingTracker, HangingTracker, RecordingTracker

PART = (("strategy", "persyn"), ("seed", 1))


def sent(tracker: Tracker, directory: Path, ending: Ending = "complete") -> None:
    """Send two steps of a curve, a child's value, facts and a file."""
    file = directory / "figures.json"
    file.write_text("{}")
    box = Outbox({"own": tracker}, TrackedRun("project", "monday", {"seed": "7"}, directory))
    for step in (1, 2):
        box.measure(Measurement({"training_curve/loss": 3.0 - step}, step))
    box.measure(Measurement({"trials/quality": 0.5}, part=PART))
    box.call(lambda t: t.attach(file))
    box.call(lambda t: t.describe({"status": "complete"}))
    box.close(ending)


def test_all_arrives_in_order_and_what_waits_in_one_call(tmp_path: Path) -> None:
    tracker = RecordingTracker()
    sent(tracker, tmp_path)
    assert [(m.values, m.step, m.part) for m in tracker.measured] == [
        ({"training_curve/loss": 2.0}, 1, ()),
        ({"training_curve/loss": 1.0}, 2, ()),
        ({"trials/quality": 0.5}, None, PART),
    ]
    assert tracker.parameters == {
        "monday": {"seed": "7"},
        "monday strategy persyn, seed 1": {"strategy": "persyn", "seed": "1"},
    }
    assert (tracker.facts, tracker.files) == ({"status": "complete"}, {"figures.json": b"{}"})
    assert tracker.calls[0] == "begin" and tracker.calls[-3:] == ["attach", "describe", "finish"]
    assert tracker.ending == "complete"


def test_a_failed_run_is_ended_as_failed(tmp_path: Path) -> None:
    tracker = RecordingTracker()
    sent(tracker, tmp_path, ending="failed")
    assert tracker.ending == "failed"


def test_a_tracker_that_dies_gets_one_warning_and_nothing_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = DyingTracker()
    sent(tracker, tmp_path)
    assert tracker.calls == ["begin", "measure"]
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "Tracking with own stopped, the run goes on: ConnectionError: connection refused"
    ]


def test_a_tracker_that_hangs_holds_the_end_up_for_a_while_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PATIENCE", 0.05)
    tracker = HangingTracker()
    sent(tracker, tmp_path)
    assert tracker.ending is None
    assert "has not taken everything" in caplog.text
    tracker.answer.set()
