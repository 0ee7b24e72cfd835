"""Typed settings for where the heavy steps run. None of them changes what a step makes."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.base import FREE_TEXT, NO_EFFECT, Group
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import SftSettings, StudentLoraSettings
from persyn_kedro.foundations.settings.training_keys import beyond_plain

WORDS = ("auto", "local")  # accepted instead of an address


def host_and_port(address: str) -> tuple[str, int]:
    """Return the host and the port of an address.

    Raises:
        ValueError: the address has other parts, or is one of Ray Client.
    """
    if "://" in address:
        raise ValueError(
            "Ray Client (ray://) is not supported: a connection lost for 30 seconds would end the "
            "work; run on a node of the cluster, with `auto` or host:port"
        )
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or not address.isprintable():  # urlsplit drops line breaks
        raise ValueError("must be `auto`, `local` or host:port")
    return host, port


class RuntimeEnv(TypedDict, total=False):
    """Ray's environment for a job. Only the variables are checked here; Ray checks the rest."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    env_vars: dict[str, str]


class ClusterSettings(Group):
    """A Ray cluster for generating, scoring, routing and training; processes for training.

    ``cpus`` and ``gpus`` apply to each actor that scores or routes, and to each worker of a
    teacher's engine.
    """

    address: Annotated[str | None, NO_EFFECT, FREE_TEXT] = Field(  # checked below
        None, description="of a Ray cluster; `auto`: the one on this node; `local`: start one"
    )
    actors: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="that score or route in parallel, each with its own copy of the model"
    )
    cpus: Annotated[float, NO_EFFECT] = Field(1.0, gt=0, description="per actor or engine worker")
    gpus: Annotated[float, NO_EFFECT] = Field(0.0, ge=0, description="per actor or engine worker")
    accelerator: Annotated[str | None, NO_EFFECT] = Field(
        None, description="GPU type for actors, as Ray names it, such as H100"
    )
    runtime_env: Annotated[RuntimeEnv, NO_EFFECT] = Field(
        RuntimeEnv(), description="of the Ray job: env_vars, working_dir, py_modules and so on"
    )
    training_processes: Annotated[int, NO_EFFECT] = Field(
        1,
        ge=1,
        description="that train the student or a language-model router together, "
        "each on its own GPU if there are any; sft.batch_size and train_router.batch_size are "
        "totals over all processes, and train_reward_model and dpo always use one process",
    )
    training_on: Annotated[Literal["machine", "cluster"], NO_EFFECT] = Field(
        "machine",
        description="machine: these processes run where the run is started; cluster: on the nodes "
        "of the Ray cluster, each with `cpus` and, unless `gpus` is 0, one GPU; checkpoints are "
        "then on a disk that all nodes share",
    )
    training_wait_seconds: Annotated[float, NO_EFFECT] = Field(
        3600.0,
        ge=0,
        description="on a cluster whose nodes have no room for these processes: how long nodes "
        "may take to join; then the run ends, and can be resumed",
    )
    sharding: Annotated[Literal["none", "fsdp"], NO_EFFECT] = Field(
        "none",
        description="fsdp: each process holds a part of the student's weights, gradients and "
        "optimizer states (a router is not sharded)",
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
            raise ValueError("must be a fraction of one GPU, or an integer")
        return gpus

    def check_training(self, sft: SftSettings, train_router: TrainRouterSettings) -> None:
        """Refuse training that these processes cannot share.

        Raises:
            PersynError: a batch has fewer rows than there are processes, or an adapter is of a kind
                that cannot be trained beside sharded weights.
        """
        if self.training_processes == 1:
            return
        batches = {"sft": sft.batch_size}
        if train_router.trains_a_model:
            batches["train_router"] = train_router.batch_size
        for group, size in batches.items():
            if size < self.training_processes:
                raise PersynError(
                    f"Parameter {group}.batch_size: {size} rows cannot be shared by "
                    f"cluster.training_processes = {self.training_processes}; raise the one or "
                    "lower the other."
                )
        if sft.lora:
            self.check_adapter("sft.lora", sft.lora)

    def check_adapter(self, key: str, lora: StudentLoraSettings) -> None:
        """Refuse an adapter that cannot be trained beside sharded weights.

        Raises:
            PersynError: names the setting under ``key``.
        """
        if self.training_processes == 1 or self.sharding == "none":
            return
        name = "quantize" if lora.quantize else beyond_plain(lora.peft)
        if name is not None:
            raise PersynError(
                f"Parameter {key}.{name}: it needs all of the student's weights in each process; "
                "set cluster.sharding to none, or leave it out."
            )
