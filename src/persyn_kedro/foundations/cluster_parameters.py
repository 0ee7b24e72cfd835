"""Typed settings of where the heavy steps run. None of them changes what a step makes."""

from typing import Annotated, Any, Literal

from pydantic import Field

from persyn_kedro.foundations.typed_settings import NO_EFFECT, Settings


class ClusterSettings(Settings):
    """A Ray cluster for models that are asked, scored with or routed with; processes for training.

    ``cpus`` and ``gpus`` are those of one actor that scores or routes, and of one worker of a
    teacher's engine.
    """

    address: Annotated[str | None, NO_EFFECT] = Field(
        None, description="of a Ray cluster, `auto` for the one here, `local` to start one"
    )
    actors: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="that score or route at once, each with its own copy of the model"
    )
    cpus: Annotated[float, NO_EFFECT] = Field(1.0, gt=0)
    gpus: Annotated[float, NO_EFFECT] = Field(0.0, ge=0)
    accelerator: Annotated[str | None, NO_EFFECT] = Field(
        None, description="the type of GPU for actors, by Ray's name, such as H100"
    )
    runtime_env: Annotated[dict[str, Any], NO_EFFECT] = Field(
        {}, description="of the Ray job: env_vars, working_dir, py_modules and so on"
    )
    training_processes: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="that train the student or the router together, on one machine"
    )
    sharding: Annotated[Literal["none", "fsdp"], NO_EFFECT] = Field(
        "none", description="fsdp: each process holds a part of the weights"
    )
