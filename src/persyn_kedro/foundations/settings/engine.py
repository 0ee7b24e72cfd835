"""Typed settings of what runs local models."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.settings.vllm_keys import VLLM


class EngineSettings(Group):
    """What runs local models."""

    name: Annotated[str, kind("vllm", "transformers", "ray"), NO_EFFECT] = Field(
        "vllm", description="or file.py:name, a function of requests, model and these settings"
    )
    inside: Annotated[str, kind("vllm", "transformers"), NO_EFFECT] = Field(
        "vllm", description="engine ray: what runs the models on the cluster; or file.py:name"
    )
    models_at_once: Annotated[int, NO_EFFECT] = Field(
        4, ge=1, description="engine ray: models that run at once, if they fit"
    )
    order: Annotated[Literal["auto", "settings"], NO_EFFECT] = Field(
        "auto",
        description="auto: local models that are still loaded answer first, then the others from "
        "the smallest to the largest; settings: as the teachers are listed",
    )
    keep_loaded: Annotated[bool, NO_EFFECT] = Field(
        True,
        description="local models stay loaded for later steps of a run, in at most half of the "
        "free memory (on a GPU: vLLM's, with vllm.enable_sleep_mode)",
    )
    batch_size: Annotated[int, NO_EFFECT] = Field(8, ge=1, description="transformers only")
    chunk_size: Annotated[int, NO_EFFECT] = Field(
        32, ge=1, description="responses stored at a time"
    )
    max_model_len: int = Field(2048, ge=16, description="tokens of prompt and answer together")
    max_num_seqs: Annotated[int, NO_EFFECT] = Field(
        64, ge=1, description="vllm: sequences in one batch"
    )
    gpu_memory_utilization: Annotated[float, NO_EFFECT] = Field(
        0.9, gt=0, le=1, description="vllm: share of a GPU's memory to use"
    )
    tensor_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that each layer is split over"
    )
    pipeline_parallel_size: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm: GPUs that the layers are split over"
    )
    cpu_kv_cache_gib: Annotated[int, NO_EFFECT] = Field(
        1, ge=1, description="vllm on a CPU: size of the KV cache in GiB"
    )
    vllm: Annotated[dict[str, JsonValue], VLLM, NO_EFFECT] = Field(  # the models have it too
        {}, description="any other field of vLLM's EngineArgs, for all local models"
    )
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model with a larger share of failed calls is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()

    @property
    def runs(self) -> str:
        """What runs local models: the engine itself, or the one inside Ray."""
        return self.inside if self.name == "ray" else self.name
