"""TRL's and PEFT's own settings: they reach the training, and what cannot be is refused."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from persyn_kedro.domain.benchmarks import harness
from persyn_kedro.domain.student import before_after, sft
from persyn_kedro.domain.student.arguments import sft_arguments
from persyn_kedro.domain.student.library_checks import check_libraries_job
from persyn_kedro.domain.student.sft import train_student_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.student import SftSettings, StudentSettings
from persyn_kedro.foundations.settings.training_keys import (
    DPO_TRAINER,
    LORA_REFUSED,
    NO_EFFECT_KEYS,
    PLAIN_LORA,
    SFT_TRAINER,
)
from tests.support.trainings import tiny_student

ROWS = [{"prompt": f"{i}+1?", "response": f"{i + 1}"} for i in range(4)]
SHORT = {"epochs": 3, "batch_size": 2, "precision": "float32", "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return tiny_student(tmp_path_factory.mktemp("student") / "model")


def train(student: ResolvedModel, work: Path, **settings: Any) -> list[dict[str, Any]]:
    """Return the curve of a short training."""
    job = train_student_job(ROWS, student, None, SftSettings(**SHORT, **settings), 1, work)
    return [item for item in job if "loss" in item]


def weights(work: Path) -> dict[str, Any]:
    return load_file(work / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def plain(student: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("plain")
    train(student, work)
    return work


def test_the_trained_student_runs_on_the_gpus_of_the_original(student: ResolvedModel) -> None:
    """In the engine and in the benchmarks' harness; other engines' answers do not depend on it."""
    on = {"tensor_parallel_size": 4, "pipeline_parallel_size": 2, "replicas": 3}
    origin = ModelSettings(random="chat", accelerator="H100", **on)
    found = before_after.trained(
        Models({"s": origin}), StudentSettings(model="s"), student.directory
    )
    assert found.settings.model_dump(include={*on, "accelerator"}) == {**on, "accelerator": "H100"}
    vllm = BenchmarkSettings(tasks=["t"], backend="vllm")
    made = harness._model_arguments(found, student.directory, vllm, EngineSettings())
    assert (made["tensor_parallel_size"], made["pipeline_parallel_size"]) == (4, 2)


def test_trl_s_own_settings_reach_it(student: ResolvedModel, tmp_path: Path) -> None:
    own = {"weight_decay": 0.1, "lr_scheduler_type": "constant"}
    made = sft_arguments(SftSettings(trainer=own), 1, tmp_path, 4, True)
    assert (made.weight_decay, made.lr_scheduler_type) == (0.1, "constant")
    curve = train(student, tmp_path, trainer=own)
    assert {item["learning_rate"] for item in curve} == {1e-2}


def test_the_rest_of_the_settings_reach_trl(tmp_path: Path) -> None:
    made = sft_arguments(SftSettings(save_steps=7), 1, tmp_path, 4, True)
    assert (made.save_strategy, made.save_steps, made.padding_free) == ("steps", 7, False)
    assert sft_arguments(SftSettings(), 1, tmp_path, 4, True).save_strategy == "epoch"
    flash = SftSettings(attention="flash_attention_2")
    assert sft_arguments(flash, 1, tmp_path, 4, False).padding_free


def test_what_has_no_effect_has_none(student: ResolvedModel, plain: Path, tmp_path: Path) -> None:
    own = {"dataloader_num_workers": 1, "log_level": "error", "torch_empty_cache_steps": 1,
           "skip_memory_metrics": False}  # fmt: skip
    assert own.keys() <= NO_EFFECT_KEYS
    train(student, tmp_path, trainer=own)
    for name, tensor in weights(tmp_path).items():
        assert tensor.equal(weights(plain)[name]), name


@pytest.mark.parametrize("own", [{"loss_type": "dft"}, {"label_smoothing_factor": 0.2}])
def test_another_loss_is_trl_s_on_packed_rows_too(
    own: dict[str, Any], student: ResolvedModel, plain: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    packed = [item["loss"] for item in train(student, tmp_path / "packed", trainer=own)]
    monkeypatch.setattr(sft, "packable", lambda model: False)
    padded = [item["loss"] for item in train(student, tmp_path / "padded", trainer=own)]
    assert packed == pytest.approx(padded, abs=2e-4)
    name = "model.embed_tokens.weight"
    assert not weights(tmp_path / "packed")[name].equal(weights(plain)[name])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_transformers_own_attention_trains_the_same_student(
    attention: str, student: ResolvedModel, plain: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen = looked_at(monkeypatch)
    train(student, tmp_path, attention=attention)
    assert seen["attention"] == attention
    for name, tensor in weights(tmp_path).items():
        assert (tensor - weights(plain)[name]).abs().max() < 2e-3, name


def looked_at(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what gets a trained model's attention and its parameters, before it is saved."""
    seen: dict[str, Any] = {}
    save = sft.save_student

    def look(trainer: Any, *more: Any) -> None:
        seen["attention"] = trainer.model.config._attn_implementation
        seen["types"] = {(p.dtype, p.requires_grad) for p in trainer.model.parameters()}
        seen["trained"] = {n for n, p in trainer.model.named_parameters() if p.requires_grad}
        save(trainer, *more)

    monkeypatch.setattr(sft, "save_student", look)
    return seen


def test_peft_s_own_settings_reach_it(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DoRA on some of the layers, and the head trained as a whole."""
    seen = looked_at(monkeypatch)
    own = {"use_dora": True, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}
    train(student, tmp_path, lora={"rank": 4, **own})
    assert any("q_proj.lora_magnitude_vector" in name for name in seen["trained"])
    assert any("lm_head.modules_to_save" in name for name in seen["trained"])
    assert not any("v_proj" in name for name in seen["trained"])
    origin = load_file(student.directory / "model.safetensors")
    name = "model.layers.0.self_attn.{}.weight"
    assert not weights(tmp_path)[name.format("q_proj")].equal(origin[name.format("q_proj")])
    assert weights(tmp_path)[name.format("v_proj")].equal(origin[name.format("v_proj")])


def test_rounded_frozen_weights_are_not_what_is_saved(
    student: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is frozen in bfloat16; the adapter, in float32, is merged into float32 weights."""
    import torch

    seen = looked_at(monkeypatch)
    settings = SftSettings(
        epochs=1, batch_size=2, learning_rate=1e-2, lora={"rank": 4, "base": "bfloat16"}
    )
    list(train_student_job(ROWS, student, None, settings, 1, tmp_path))
    assert seen["types"] == {(torch.bfloat16, False), (torch.float32, True)}
    origin = load_file(student.directory / "model.safetensors")
    moved = {name for name, t in weights(tmp_path).items() if not t.equal(origin[name])}
    assert moved == {name for name in origin if "_proj" in name}
    name = "model.layers.0.self_attn.q_proj.weight"
    change = (weights(tmp_path)[name] - origin[name]).abs().max()
    assert 0 < change < 0.2


def test_a_checkpoint_beside_other_frozen_weights_is_not_gone_on_with(
    student: ResolvedModel, tmp_path: Path
) -> None:
    """The model's dtype says how an adapter's base is rounded; without one, only what is saved."""
    rounded = replace(student, settings=ModelSettings(random="chat", dtype="bfloat16"))

    def mark(model: ResolvedModel, lora: dict[str, Any] | None) -> str:
        settings = SftSettings(epochs=1, batch_size=4, lora=lora)
        list(train_student_job(ROWS, model, None, settings, 1, tmp_path))
        return (tmp_path / "checkpoints" / "fingerprint").read_text()

    assert mark(student, {"rank": 2}) != mark(rounded, {"rank": 2})
    assert mark(student, None) == mark(rounded, None)


def test_the_frozen_weights_are_in_bfloat16_unless_more_is_asked_for() -> None:
    from persyn_kedro.domain.student.adapters import kept_dtype

    lora = SftSettings(lora={})
    assert [kept_dtype(lora, d) for d in ("bfloat16", "float16", "float32")] == [
        "bfloat16", "bfloat16", "float32",
    ]  # fmt: skip
    assert kept_dtype(SftSettings(), "bfloat16") == "float32"
    assert kept_dtype(SftSettings(lora={}, precision="float32"), "bfloat16") == "float32"
    assert kept_dtype(SftSettings(lora={"base": "float32"}), "bfloat16") == "float32"
    assert kept_dtype(SftSettings(precision="bfloat16"), "float32") == "bfloat16"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"trainer": {"weight_dcay": 0.1}},
            "Unknown parameter sft.trainer.weight_dcay: TRL's SFTConfig has no such field; did you "
            "mean weight_decay?",
        ),
        (
            {"trainer": {"weight_decay": "1e-3"}},
            "Parameter sft.trainer.weight_decay: Input should be a valid number (it is '1e-3').",
        ),
        (
            {"trainer": {"lr_scheduler_type": "constnt"}},
            "Parameter sft.trainer: TRL refuses it: constnt is not a valid SchedulerType",
        ),
        ({"lora": {"rnk": 3}}, "has no such field; did you mean rank?"),
        ({"lora": {"use_dora": 1}}, "Parameter sft.lora.use_dora: Input should be a valid boolean"),
        (
            {"lora": {"init_lora_weights": "pissa", "base": "bfloat16"}},
            "Parameter sft.lora.init_lora_weights: it changes the frozen weights",
        ),
        ({"lora": {"quantize": "4bit"}}, "Parameter sft.lora.quantize: it needs a CUDA GPU"),
        ({"liger": True}, "Parameter sft.liger: it needs a CUDA GPU"),
        (
            {"attention": "flash_attention_2"},
            "Parameter sft.attention, flash_attention_2: it needs",
        ),
        (
            {"attention": "flex_attention"},
            "Parameter sft.attention, flex_attention: it needs a CUDA",
        ),
    ],
)
def test_what_a_library_or_this_machine_cannot_do_is_refused(
    given: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = SftSettings(**given)
    with pytest.raises(PersynError) as error:
        list(check_libraries_job({"sft": settings}, "float32"))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "package"),
    [
        ({"liger": True}, "liger-kernel"),
        ({"lora": {"quantize": "4bit"}}, "bitsandbytes"),
        ({"attention": "flash_attention_2"}, "flash-attn"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    given: dict[str, Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    settings = SftSettings(**given)
    with pytest.raises(PersynError, match=f": {package} is not installed: run `pip install"):
        list(check_libraries_job({"sft": settings}, "float32"))


def test_the_lists_of_keys_name_what_the_libraries_have() -> None:
    """A key is refused, or has no effect, or is part of the identity; here is what the last are."""
    from peft import LoraConfig
    from trl import DPOConfig, SFTConfig

    dpo = {field.name for field in fields(DPOConfig) if field.init}
    assert {*DPO_TRAINER.refused, *DPO_TRAINER.no_effect} <= dpo
    trainer = {field.name for field in fields(SFTConfig) if field.init}
    assert {*SFT_TRAINER.refused, *NO_EFFECT_KEYS} <= trainer
    assert not SFT_TRAINER.refused.keys() & NO_EFFECT_KEYS
    assert trainer - SFT_TRAINER.refused.keys() - NO_EFFECT_KEYS == {
        "adam_beta1", "adam_beta2", "adam_epsilon", "dataloader_drop_last", "full_determinism",
        "gradient_checkpointing_kwargs", "label_smoothing_factor", "liger_kernel_config",
        "loss_type", "lr_scheduler_kwargs", "lr_scheduler_type", "max_grad_norm", "optim",
        "optim_args", "optim_target_modules", "router_aux_loss_coef", "tf32", "torch_compile",
        "torch_compile_backend", "torch_compile_mode", "weight_decay",
    }  # fmt: skip
    lora = {field.name for field in fields(LoraConfig) if field.init}
    assert {*LORA_REFUSED, *PLAIN_LORA} <= lora
