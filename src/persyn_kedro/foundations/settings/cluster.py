"""Typed settings of where the heavy steps run. None of them changes what a step makes."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import FREE_TEXT, NO_EFFECT, Group
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.steps import SftSettings

WORDS = ("auto", "local")  # in place of an address


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an address.

    Raises:
        ValueError: it has others, or is one of Ray Client.
    """
    if "://" in address:
        raise ValueError(
            "Ray Client (ray://) is not supported, as a connection that is lost for half a minute "
            "would end the work; run on a node of the cluster, with `auto` or host:port"
        )
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or not address.isprintable():  # urlsplit drops line breaks
        raise ValueError("it is `auto`, `local` or host:port")
    return host, port


class RuntimeEnv(TypedDict, total=False):
    """What Ray takes as a job's environment; all but the variables is for Ray to check."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    env_vars: dict[str, str]


class ClusterSettings(Group):
    """A Ray cluster for models that are asked, scored with or routed with; processes for training.

    ``cpus`` and ``gpus`` are those of one actor that scores or routes, and of one worker of a
    teacher's engine.
    """

    address: Annotated[str | None, NO_EFFECT, FREE_TEXT] = Field(  # has a check of its own
        None, description="of a Ray cluster, `auto` for the one here, `local` to start one"
    )
    actors: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="that score or route at once, each with its own copy of the model"
    )
    cpus: Annotated[float, NO_EFFECT] = Field(
        1.0, gt=0, description="of one actor or engine worker"
    )
    gpus: Annotated[float, NO_EFFECT] = Field(
        0.0, ge=0, description="of one actor or engine worker"
    )
    accelerator: Annotated[str | None, NO_EFFECT] = Field(
        None, description="the type of GPU for actors, by Ray's name, such as H100"
    )
    runtime_env: Annotated[RuntimeEnv, NO_EFFECT] = Field(
        RuntimeEnv(), description="of the Ray job: env_vars, working_dir, py_modules and so on"
    )
    training_processes: Annotated[int, NO_EFFECT] = Field(
        1,
        ge=1,
        description="that train the student or a language-model router together, on one machine, "
        "each on a GPU of its own if there are any; sft.batch_size and train_router.batch_size are "
        "those of all together, and train_reward_model has one process",
    )
    sharding: Annotated[Literal["none", "fsdp"], NO_EFFECT] = Field(
        "none",
        description="fsdp: each of several processes holds a part of the student's weights, "
        "gradients and optimizer states (of a router's it has all, as with none)",
    )

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        if address is not None and address not in WORDS:
            host_and_port(address)
        return address

    @field_validator("gpus")
    @classmethod
    def _check_gpus(cls, gpus: float) -> float:
        if gpus > 1 and not gpus.is_integer():
            raise ValueError("Ray takes a part of one GPU, or whole ones")
        return gpus

    def check_training(self, sft: SftSettings, train_router: TrainRouterSettings) -> None:
        """Refuse a training that these processes cannot share.

        Raises:
            PersynError: a batch has fewer rows than there are processes, or sharded weights are to
                get an adapter.
        """
        if self.training_processes == 1:
            return
        batches = {"sft": sft.batch_size}
        if train_router.kind == "language_model":
            batches["train_router"] = train_router.batch_size
        for group, size in batches.items():
            if size < self.training_processes:
                raise PersynError(
                    f"Parameter {group}.batch_size: {size} rows are too few for "
                    f"cluster.training_processes = {self.training_processes}, which share them."
                )
        if self.sharding == "fsdp" and sft.lora:
            raise PersynError(
                "Parameter sft.lora: an adapter is not trained on weights that are sharded; set "
                "cluster.sharding to none, or sft.lora to null."
            )
