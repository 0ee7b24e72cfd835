"""Which keys of vLLM's own settings are refused, and which do not change an answer."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.foundations.settings.passed_on import PassedOn, because, elsewhere

VLLM = PassedOn(
    {
        **elsewhere(
            "models.<name>.",
            dtype="dtype",
            trust_remote_code="allow_remote_code",
            load_format="allow_pickle",
            revision="revision",
            code_revision="revision",
            data_parallel_size="replicas",
        ),
        **elsewhere(
            "engine.",
            max_model_len="max_model_len",
            max_num_seqs="max_num_seqs",
            gpu_memory_utilization="gpu_memory_utilization",
            tensor_parallel_size="tensor_parallel_size",
            pipeline_parallel_size="pipeline_parallel_size",
        ),
        **because(
            "the model is resolved and its files are found before vLLM starts",
            "config_format", "download_dir", "hf_config_path", "hf_token", "model",
            "model_weights", "served_model_name",
        ),
        **because(
            "prompts are rendered to token ids, and answers decoded, by our own tokenizer",
            "enable_prompt_embeds", "io_processor_plugin", "reasoning_config", "reasoning_parser",
            "reasoning_parser_plugin", "renderer_num_workers", "skip_tokenizer_init", "tokenizer",
            "tokenizer_mode", "tokenizer_revision", "tokens_only",
        ),
        **because(
            "the teacher's sampling says it, for each request with a seed of its own",
            "generation_config", "logits_processors", "override_generation_config", "seed",
            "stream_interval",
        ),
        **because(
            "only a judge's replies follow a schema, by a grammar that is chosen for them",
            "structured_outputs_config",
        ),
        **because("the engine generates text and nothing else", "convert", "pooler_config",
                  "runner", "enable_lora", "weight_transfer_config"),
        **because(
            "cluster and models.<name>.replicas say where a model's copies run",
            "data_parallel_address", "data_parallel_backend", "data_parallel_external_lb",
            "data_parallel_hybrid_lb", "data_parallel_multi_port_external_lb",
            "data_parallel_rank", "data_parallel_rpc_port", "data_parallel_size_local",
            "data_parallel_start_rank", "master_addr", "master_port", "nnodes", "node_rank",
        ),
        **because("the run's own progress is shown", "disable_log_stats", "use_tqdm_on_load"),
    },
    frozenset({
        "async_scheduling", "block_size", "cpu_offload_gb", "cpu_offload_params",
        "cudagraph_capture_sizes", "device_ids", "disable_cascade_attn",
        "disable_custom_all_reduce", "distributed_executor_backend", "distributed_timeout_seconds",
        "enable_chunked_prefill", "enable_eplb", "enable_expert_parallel",
        "enable_prefix_caching", "enable_sleep_mode", "enforce_eager", "expert_placement_strategy",
        "kv_cache_memory_bytes", "kv_offloading_backend", "kv_offloading_size", "log_level",
        "long_prefill_token_threshold", "max_cudagraph_capture_size",
        "max_num_batched_tokens", "max_num_scheduled_tokens", "max_parallel_loading_workers",
        "num_gpu_blocks_override", "numa_bind", "numa_bind_cpus", "numa_bind_nodes",
        "offload_backend", "offload_group_size", "offload_num_in_group", "offload_params",
        "offload_prefetch_step", "optimization_level", "performance_mode",
        "prefix_caching_hash_algo", "profiler_config", "ray_workers_use_nsight",
        "safetensors_load_strategy", "safetensors_prefetch_block_size",
        "safetensors_prefetch_num_threads", "scheduler_reserve_full_isl",
    }),
)  # fmt: skip
"""vLLM's ``EngineArgs``: keys of no effect are about memory, caches, scheduling and devices.

As with batch sizes, they change answers by rounding at most. Any other key is part of the answers'
identity: ``quantization``, ``kv_cache_dtype``, ``speculative_config`` and so on.
"""


def with_engine_s(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return raw parameters with ``engine.vllm`` laid under each local model's ``vllm``.

    Under another engine no model has any: what would be part of the identity of vLLM's answers must
    not be part of others'. What is malformed stays as it is, for the groups' own checks.
    """
    models = raw.get("models")
    if not isinstance(models, Mapping):
        return dict(raw)
    if engine_of(raw) != "vllm":
        return {**raw, "models": {name: _without(model) for name, model in models.items()}}
    engine = raw.get("engine")
    common = engine.get("vllm") if isinstance(engine, Mapping) else None
    if not isinstance(common, Mapping) or not common:
        return dict(raw)
    laid = {name: _laid(model, common) for name, model in models.items()}
    return {**raw, "models": laid}


def engine_of(raw: Mapping[str, Any]) -> Any:
    """Return what runs local models by raw parameters: the engine, or the one inside Ray."""
    engine = raw.get("engine")
    if not isinstance(engine, Mapping):
        return getattr(engine, "runs", "vllm")
    name = engine.get("name", "vllm")
    return engine.get("inside", "vllm") if name == "ray" else name


def unused_keys(raw: Mapping[str, Any]) -> str:
    """Return a sentence on the settings for vLLM that another engine does not read; "" if none."""
    engine = engine_of(raw)
    groups = {"engine": raw.get("engine"), **{f"models.{n}": m for n, m in raw["models"].items()}}
    found = [
        f"{place}.vllm"
        for place, group in groups.items()
        if engine != "vllm" and isinstance(group, Mapping) and group.get("vllm")
    ]
    return f"Engine {engine} does not read {', '.join(found)}: without effect" if found else ""


def _without(model: Any) -> Any:
    if not isinstance(model, Mapping) or "vllm" not in model:
        return model
    return {key: value for key, value in model.items() if key != "vllm"}


def _laid(model: Any, common: Mapping[str, Any]) -> Any:
    if not isinstance(model, Mapping) or model.get("endpoint"):
        return model
    own = model.get("vllm", {})
    return {**model, "vllm": {**common, **own}} if isinstance(own, Mapping) else model
