"""Typed settings of the trackers that follow a run."""

from typing import Annotated, Literal

from pydantic import Field

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group

TrackerName = Literal["mlflow", "trackio", "wandb", "tensorboard"]


class MlflowSettings(Group):
    """Where MLflow's runs go."""

    uri: str | None = Field(
        None, description="of the server or store; none: the variable MLFLOW_TRACKING_URI"
    )


class WandbSettings(Group):
    """Where W&B's runs go."""

    mode: Literal["offline", "online"] = Field(
        "offline", description="offline: files, to be sent with `wandb sync`"
    )
    entity: str | None = Field(None, description="user or team; none: W&B's default")


class TrackingSettings(Group):
    """Where a run's parameters, metrics and reports go besides `data`; no result depends on it."""

    to: Annotated[list[TrackerName], NO_EFFECT] = Field(
        ["tensorboard"],
        description="the trackers; with tensorboard alone, nothing leaves this machine",
    )
    project: Annotated[str, NO_EFFECT] = Field(
        "persyn-kedro", description="MLflow's experiment, the others' project"
    )
    name: Annotated[str | None, NO_EFFECT] = Field(
        None, description="of the run; none: its time, as in its manifest, and its pipelines"
    )
    max_file_mb: Annotated[float, NO_EFFECT] = Field(
        10.0, ge=0, description="largest report or table to attach, in MB; 0: attach none"
    )
    mlflow: Annotated[MlflowSettings, NO_EFFECT] = MlflowSettings()
    wandb: Annotated[WandbSettings, NO_EFFECT] = WandbSettings()
