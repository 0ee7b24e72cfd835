"""Which keys of TRL's and PEFT's own settings are refused, and which do not change a result."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.foundations.settings.passed_on import PassedOn, because, elsewhere

_NO_EVALUATION = "training has no evaluation set; the evaluate step tests the student"


def _trainer(group: str) -> dict[str, str]:
    """Return the refused keys of Transformers' ``TrainingArguments``, for a group of settings."""
    return {
        **elsewhere(
            f"{group}.",
            num_train_epochs="epochs",
            max_steps="epochs",  # the warm-up is a share of the steps
            per_device_train_batch_size="batch_size",
            gradient_accumulation_steps="gradient_accumulation",
            learning_rate="learning_rate",
            warmup_steps="warmup_fraction",
            bf16="precision",
            fp16="precision",
            gradient_checkpointing="gradient_checkpointing",
            save_steps="save_steps",
            use_liger_kernel="liger",
            max_length="max_length",
        ),
        **because("set seed, which holds for all steps", "seed", "data_seed"),
        **because(
            "the rows are rendered, masked and packed before they reach the trainer",
            "dataset_num_proc",
            "label_names", "length_column_name", "pad_to_multiple_of", "pad_token",
            "padding_free", "remove_unused_columns", "train_sampling_strategy",
            "truncation_mode",
        ),
        **because("training has no use for a cache of keys and values", "use_cache"),
        **because(
            "packed rows have another length than the rows that it is meant for",
            "neftune_noise_alpha",
        ),
        **because(
            "a killed training resumes from its newest complete checkpoint, found by the "
            "training's identity",
            "auto_find_batch_size", "enable_jit_checkpoint", "ignore_data_skip", "output_dir",
            "restore_callback_states_from_checkpoint", "resume_from_checkpoint",
            "save_on_each_node", "save_only_model", "save_strategy", "save_total_limit",
        ),
        **because(
            _NO_EVALUATION,
            "batch_eval_metrics", "bf16_full_eval", "do_eval", "do_predict", "do_train",
            "eval_accumulation_steps", "eval_delay", "eval_do_concat_batches", "eval_on_start",
            "eval_steps", "eval_strategy", "eval_use_gather_object",
            "fp16_full_eval", "greater_is_better", "include_for_metrics",
            "load_best_model_at_end", "metric_for_best_model", "per_device_eval_batch_size",
            "prediction_loss_only",
        ),
        **because(
            "the training curve has every step",
            "include_num_input_tokens_seen", "logging_first_step", "logging_steps",
            "logging_strategy", "logging_nan_inf_filter",
        ),
        **because(
            "cluster.training_processes and cluster.sharding say how processes share the training",
            "accelerator_config", "average_tokens_across_devices", "dataloader_in_order",
            "ddp_backend", "ddp_broadcast_buffers", "ddp_bucket_cap_mb",
            "ddp_find_unused_parameters", "ddp_static_graph", "ddp_timeout", "debug", "deepspeed",
            "fsdp", "fsdp_config", "local_rank", "parallelism_config", "use_cpu",
        ),
        **because(
            "models says how the student is loaded", "model_init_kwargs", "trust_remote_code"
        ),
        **because(
            "`kedro run --pipelines=export` uploads the student",
            "hub_always_push", "hub_model_id", "hub_private_repo", "hub_revision", "hub_strategy",
            "hub_token", "push_to_hub",
        ),
        **because(
            "the run tells the trackers of tracking.to what the trainer logs, so that none of them "
            "can slow or end a training",
            "project", "report_to", "run_name", "trackio_bucket_id", "trackio_space_id",
            "trackio_static_space_id",
        ),
    }  # fmt: skip


_SFT_ONLY = {
    **because(
        "the rows are rendered, masked and packed before they reach the trainer",
        "assistant_only_loss", "chat_template_path", "completion_only_loss", "dataset_kwargs",
        "dataset_text_field", "eos_token", "packing", "packing_strategy", "shuffle_dataset",
    ),
    **because(_NO_EVALUATION, "eval_packing"),
}  # fmt: skip

_DPO_ONLY = {
    **elsewhere("dpo.", beta="beta", label_smoothing_factor="trainer.label_smoothing"),
    **because(
        "the reference is the fine-tuned student, whose likelihoods are computed once before",
        "precompute_ref_log_probs", "ref_model_mixup_alpha", "ref_model_sync_steps",
        "sync_ref_model",
    ),
}  # fmt: skip

NO_EFFECT_KEYS = frozenset({
    "activation_offloading", "dataloader_multiprocessing_context", "dataloader_num_workers",
    "dataloader_persistent_workers", "dataloader_pin_memory", "dataloader_prefetch_factor",
    "disable_tqdm", "log_level", "log_level_replica", "log_on_each_node", "skip_memory_metrics",
    "torch_empty_cache_steps",
})  # fmt: skip
"""Keys of the trainer that are about logging, loading of rows, and memory."""

SFT_TRAINER = PassedOn({**_trainer("sft"), **_SFT_ONLY}, NO_EFFECT_KEYS)
DPO_TRAINER = PassedOn(
    {**_trainer("dpo"), **_DPO_ONLY}, NO_EFFECT_KEYS | {"precompute_ref_batch_size"}
)

_NEEDS_MORE = "it needs data or objects of PEFT's that settings cannot give"

LORA_REFUSED = {
    **elsewhere("", r="rank", lora_alpha="alpha", lora_dropout="dropout"),
    **because(
        "the student is a causal language model, trained from its own files",
        "auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version",
        "revision", "task_type",
    ),
    **because(
        _NEEDS_MORE,
        "arrow_config", "corda_config", "eva_config", "kasa_config", "loftq_config",
        "lora_ga_config", "megatron_config", "megatron_core", "monteclora_config",
        "qalora_group_size", "runtime_config", "use_bdlora", "use_qalora", "velora_config",
    ),
    **because(
        "the adapter is merged into the student, which this does not allow",
        "alora_invocation_tokens", "layer_replication",
    ),
}  # fmt: skip
"""Keys of PEFT's ``LoraConfig`` that are refused, and why."""

PLAIN_LORA = frozenset({
    "alpha_pattern", "exclude_modules", "fan_in_fan_out", "layers_pattern", "layers_to_transform",
    "rank_pattern", "target_modules", "use_rslora",
})  # fmt: skip
"""Keys that neither read nor replace the base's weights, so that these may be sharded."""

NEED_DATA = ("corda", "eva", "loftq", "lora_ga")
"""Values of ``init_lora_weights`` that need data or objects of PEFT's."""

RANDOM_INITS = (True, False, "gaussian", "orthogonal")
"""Values of ``init_lora_weights`` that leave the base's weights as they are."""


def beyond_plain(peft: Mapping[str, Any]) -> str | None:
    """Return the first of PEFT's keys that reads or replaces the base's own weights, if any."""
    keys = [key for key in peft if key not in PLAIN_LORA and key != "init_lora_weights"]
    return changes_base(peft) or next(iter(keys), None)


def changes_base(peft: Mapping[str, Any]) -> str | None:
    """Return the key that would change the base's weights before training, if any."""
    key = "init_lora_weights"
    return None if peft.get(key, True) in RANDOM_INITS else key


def check_lora(peft: dict[str, Any]) -> None:
    """Refuse keys of PEFT's ``LoraConfig``.

    Raises:
        ValueError: names the key, and why.
    """
    PassedOn(LORA_REFUSED).check(peft)
    init = peft.get("init_lora_weights", True)
    if init in NEED_DATA:
        raise ValueError(f"init_lora_weights cannot be {init}: {_NEEDS_MORE}")
