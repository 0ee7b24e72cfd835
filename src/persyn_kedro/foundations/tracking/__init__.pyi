"""Trackers that follow a run: TensorBoard, MLflow, trackio and W&B behind one interface."""

from .base import (
    Ending as Ending,
    Measurement as Measurement,
    TrackedRun as TrackedRun,
    Tracker as Tracker,
    metric_name as metric_name,
)
from .outbox import Outbox as Outbox
from .registry import check_tracking as check_tracking, trackers_of as trackers_of
