"""Training in bfloat16 without instructions for it: gradients equal up to rounding."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from persyn_kedro.foundations.models import float32_training
from persyn_kedro.foundations.models.float32_training import train_with_float32_products

SIZES = {"vocab_size": 50, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
IDS = torch.arange(2, 42).reshape(2, 20)


def trainer_of(model: Any, bf16: bool = True, device: str = "cpu") -> Any:
    return SimpleNamespace(
        model=model, args=SimpleNamespace(bf16=bf16, device=torch.device(device))
    )


def model_of(kind: Any) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(kind(**SIZES)).train()


def gradients(model: Any, autocast: bool) -> tuple[float, torch.Tensor]:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    parts = [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
    return float(loss), torch.cat(parts)


def replaced(model: Any) -> int:
    return sum("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config])  # without and with biases
def test_the_gradients_are_as_near_to_float32_s_as_autocast_s(
    monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(float32_training, "has_instructions", lambda _: False)
    model = model_of(kind)
    exact, half, ours = model, copy.deepcopy(model), copy.deepcopy(model)
    train_with_float32_products(trainer_of(ours))
    loss, wanted = gradients(exact, False)
    (_, theirs), (found, mine) = gradients(half, True), gradients(ours, True)
    assert replaced(ours) == sum(isinstance(m, torch.nn.Linear) for m in ours.modules())
    assert mine.shape == wanted.shape
    assert found == pytest.approx(loss, abs=0.02)
    off = [float((own - wanted).norm() / wanted.norm()) for own in (theirs, mine)]
    assert off[1] < 1.15 * off[0] < 0.1


def test_frozen_weights_get_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float32_training, "has_instructions", lambda _: False)
    model = model_of(LlamaConfig)
    for name, weights in model.named_parameters():
        weights.requires_grad = "layers.0.mlp" in name
    train_with_float32_products(trainer_of(model))
    gradients(model, True)
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {n for n, _ in model.named_parameters() if "layers.0.mlp" in n}


def test_whole_weights_in_bfloat16_are_trained_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float32_training, "has_instructions", lambda _: False)
    model = model_of(LlamaConfig).bfloat16()
    train_with_float32_products(trainer_of(model, bf16=False))
    assert replaced(model)
    gradients(model, False)
    assert all(p.grad is None or p.grad.dtype == torch.bfloat16 for p in model.parameters())


@pytest.mark.parametrize(
    ("has", "bf16", "device"), [(True, True, "cpu"), (False, False, "cpu"), (False, True, "cuda")]
)
def test_nothing_is_replaced_where_it_would_not_help(
    monkeypatch: pytest.MonkeyPatch, has: bool, bf16: bool, device: str
) -> None:
    monkeypatch.setattr(float32_training, "has_instructions", lambda _: has)
    model = model_of(LlamaConfig)
    train_with_float32_products(trainer_of(model, bf16, device))
    assert not replaced(model)
