"""Typed settings of what runs local models."""

from typing import Annotated

from pydantic import Field

from persyn_kedro.foundations.settings.base import NO_EFFECT, Group
from persyn_kedro.foundations.settings.plugins import kind
from persyn_kedro.foundations.settings.spending import Budget


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
    max_failure_share: Annotated[float, NO_EFFECT] = Field(
        0.5, ge=0, le=1, description="a model with a larger share of failed calls is stopped"
    )
    budget: Annotated[Budget, NO_EFFECT] = Budget()
