"""The student's weights in training: all of them, or an adapter beside frozen ones."""

import tempfile
from typing import Any

from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.student import StudentLoraSettings, TrainingSettings


def load_trained(student: ResolvedModel, settings: TrainingSettings, shards: int) -> Any:
    """Return the model to train, with its weights as ``settings`` keeps them."""
    from persyn_kedro.foundations.models.load import device, load_causal_lm

    quantized = settings.lora is not None and settings.lora.quantize is not None
    return load_causal_lm(
        student,
        kept_dtype(settings, student.settings.dtype),
        shards,
        attn_implementation=settings.attention,
        quantization_config=_nf4() if quantized else None,
        device_map={"": device()} if quantized else None,
    )


def kept_dtype(settings: TrainingSettings, dtype: str) -> str:
    """Return the type of the weights in training; ``dtype`` is the model's own."""
    if settings.precision == "bfloat16":
        return "bfloat16"
    if settings.lora is None or settings.precision == "float32":
        return (settings.lora and settings.lora.base) or "float32"
    return settings.lora.base or ("float32" if dtype == "float32" else "bfloat16")


def frozen_identity(settings: TrainingSettings, dtype: str) -> dict[str, str]:
    """Return what of a checkpoint's identity depends on the model's own ``dtype``.

    A full-parameter training's weights do not.
    """
    return {"frozen": kept_dtype(settings, dtype)} if settings.lora else {}


def _nf4() -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def lora_config(settings: StudentLoraSettings) -> Any:
    """Return PEFT's ``LoraConfig``."""
    from peft import LoraConfig

    ours: dict[str, Any] = {
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
    }
    return LoraConfig(**{**ours, **settings.peft})


def adapter_state(model: Any) -> dict[str, Any]:
    """Return an adapter's own tensors.

    PEFT would take the whole model's, for which it gathers sharded weights: all processes would
    have to take part, and only rank 0 saves.
    """
    return {name: p.data for name, p in model.named_parameters() if p.requires_grad}


def merges_in_place(settings: TrainingSettings, dtype: str, sharded: bool) -> bool:
    """Return whether the frozen weights are all there, and no less precise than the model's own."""
    assert settings.lora is not None  # noqa: S101 - asked of adapters only
    exact = kept_dtype(settings, dtype) in ("float32", dtype)
    return exact and not sharded and settings.lora.quantize is None


def merged(model: Any, student: ResolvedModel, settings: TrainingSettings, sharded: bool) -> Any:
    """Return the student with the adapter of ``model`` merged into its weights.

    If the weights of ``model`` are rounded or sharded, they are read again from the files.
    """
    if merges_in_place(settings, student.settings.dtype, sharded):
        return model.merge_and_unload()
    from peft import PeftModel

    from persyn_kedro.foundations.models.load import load_causal_lm

    with tempfile.TemporaryDirectory(prefix="persyn-adapter-") as directory:
        model.save_pretrained(directory, state_dict=adapter_state(model))
        base = load_causal_lm(student, place="cpu")
        base.config.use_cache = model.config.use_cache  # as the trainer leaves it
        return PeftModel.from_pretrained(base, directory).merge_and_unload()
