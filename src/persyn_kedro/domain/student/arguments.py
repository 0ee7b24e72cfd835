"""TRL's arguments of a training: ours, and the user's own (``trainer``) laid over them."""

import math
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.settings.student import DpoSettings, SftSettings, TrainingSettings


def sft_arguments(
    settings: SftSettings, seed: int, checkpoints: Path, examples: int, packs: bool
) -> Any:
    """Return TRL's ``SFTConfig``.

    Args:
        checkpoints: the directory for them.
        examples: how many rows are trained on.
        packs: whether a batch is one packed row.
    """
    from trl import SFTConfig

    from persyn_kedro.foundations.models.load import on_one_gpu

    ours = {
        **_ours(settings, seed, checkpoints, examples),
        "dataset_kwargs": {"skip_prepare_dataset": True},  # ids and labels are ours
        "padding_free": settings.attention == "flash_attention_2",
        "include_num_input_tokens_seen": "all" if packs else "non_padding",
    }
    return on_one_gpu(SFTConfig(**{**ours, **settings.trainer}))


def dpo_arguments(settings: DpoSettings, seed: int, checkpoints: Path, examples: int) -> Any:
    """Return TRL's ``DPOConfig``, as ``sft_arguments``."""
    from trl import DPOConfig

    from persyn_kedro.foundations.models.load import on_one_gpu

    ours = {
        **_ours(settings, seed, checkpoints, examples),
        "beta": settings.beta,
        "precompute_ref_log_probs": True,  # else the reference would be in memory all the time
    }
    return on_one_gpu(DPOConfig(**{**ours, **settings.trainer}))


def _ours(
    settings: TrainingSettings, seed: int, checkpoints: Path, examples: int
) -> dict[str, Any]:
    from persyn_kedro.foundations.models.load import device

    return {
        "output_dir": str(checkpoints),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "learning_rate": settings.learning_rate,
        "warmup_steps": _warmup_steps(settings, examples),
        "max_length": None,  # rows that are too long are left out before, never cut
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": settings.precision == "bfloat16_autocast",
        "use_cpu": device() == "cpu",
        "dataloader_pin_memory": device() == "cuda",
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "steps" if settings.save_steps else "epoch",
        "save_steps": settings.save_steps or 1,
        "save_total_limit": 1,
        "logging_steps": 1,
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "disable_tqdm": True,
        "use_liger_kernel": settings.liger,
    }


def _warmup_steps(settings: TrainingSettings, examples: int) -> int:
    """Return the warm-up's share of the steps, rounded down: a single step must not be warm-up."""
    a_step = settings.batch_size * settings.gradient_accumulation
    return int(settings.warmup_fraction * settings.epochs * math.ceil(examples / a_step))
