"""Which trackers there are, and what each needs."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import install, is_installed
from persyn_kedro.foundations.settings.tracking import TrackingSettings
from persyn_kedro.foundations.tracking.base import Tracker
from persyn_kedro.foundations.tracking.mlflow import MlflowTracker
from persyn_kedro.foundations.tracking.tensorboard import TensorboardTracker
from persyn_kedro.foundations.tracking.trackio import TrackioTracker
from persyn_kedro.foundations.tracking.wandb import WandbTracker


@dataclass(frozen=True)
class _Kind:
    """A tracker: the library that it imports, and the command that installs that."""

    make: Callable[[TrackingSettings], Tracker]
    library: str
    install: str


_KINDS = {
    "tensorboard": _Kind(
        lambda _: TensorboardTracker(), "tensorboardX", "`pip install tensorboardX`"
    ),
    "mlflow": _Kind(lambda s: MlflowTracker(_uri(s)), "mlflow", install("mlflow")),
    "trackio": _Kind(lambda _: TrackioTracker(), "trackio", install("trackio")),
    "wandb": _Kind(lambda s: WandbTracker(s.wandb), "wandb", install("wandb")),
}


def trackers_of(settings: TrackingSettings) -> dict[str, Tracker]:
    """Return the chosen trackers by name; none is connected yet."""
    return {name: _KINDS[name].make(settings) for name in settings.to}


def check_tracking(settings: TrackingSettings) -> None:
    """Refuse trackers that cannot be used here; nothing is imported or called.

    Raises:
        PersynError: names what to install or set.
    """
    for name in settings.to:
        kind = _KINDS[name]
        if not is_installed(kind.library):
            raise PersynError(
                f"tracking.to: {name} is not installed: run {kind.install}, or leave it out."
            )
    if "mlflow" in settings.to and not _uri(settings):
        raise PersynError(
            "tracking.mlflow.uri is not set: give the address of an MLflow server, such as "
            "http://127.0.0.1:5000, or set MLFLOW_TRACKING_URI."
        )


def _uri(settings: TrackingSettings) -> str:
    return settings.mlflow.uri or os.environ.get("MLFLOW_TRACKING_URI", "")
