"""The kernel for all sequences of a packed row gives what each gets alone, and its gradients."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen3Config,
)

from persyn_kedro.foundations.models import packing, varlen
from persyn_kedro.foundations.models.packed_attention import at_once, in_turn
from persyn_kedro.foundations.models.packing import Pack, hidden_states, pack, use_packing
from tests.gpu.reference_kernel import ReferenceKernel

SIZES = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
WINDOWED = Gemma3TextConfig(
    **SIZES, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
)
CONFIGS = [LlamaConfig(**SIZES), Qwen3Config(**SIZES), WINDOWED]
FAMILIES = [
    ([5, 6, 7, 9, 11], [[8, 9], [4, 8, 3, 5, 12, 13, 14], [2]]),
    ([], [[3, 4, 9], [7]]),
    ([21, 22], [[*range(1, 40)]]),
]
HALF = (torch.bfloat16, torch.float16)


class Module(torch.nn.Module):
    """The part of a model that an attention looks at."""


def seen_by(packed: Pack, window: int | None) -> torch.Tensor:
    """Which keys of the row a query sees, written down anew: its sequence's, and none later."""
    length = len(packed.input_ids)
    seen = torch.zeros(length, length, dtype=torch.bool)
    for start, stop, shared_start, shared_stop in packed.segments:
        for query in range(start, stop):
            keys = [*range(shared_start, shared_stop), *range(start, query + 1)]
            seen[query, keys[-window:] if window else keys] = True
    return seen


@pytest.mark.parametrize("width", [16, 64, 128])
@pytest.mark.parametrize("key_heads", [4, 2])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_attention_at_once_and_in_turn_is_that_of_a_mask(
    device: str, kernel: ReferenceKernel, dtype: Any, window: int | None, key_heads: int, width: int
) -> None:
    packed = pack(FAMILIES)
    torch.manual_seed(0)
    shapes = [(1, heads, len(packed.input_ids), width) for heads in (4, key_heads, key_heads)]
    given = [torch.randn(shape).to(device, dtype) for shape in shapes]
    pull = torch.randn(1, len(packed.input_ids), 4, width).to(device)
    how = {"scaling": 0.3, "sliding_window": window, "segments": packed.segments}

    def by_mask(*qkv: torch.Tensor) -> torch.Tensor:
        mask = seen_by(packed, window).to(device)
        return torch.nn.functional.scaled_dot_product_attention(
            *qkv, attn_mask=mask, scale=0.3, enable_gqa=True
        ).transpose(1, 2)

    def with_gradients(attend: Any, kind: Any) -> list[torch.Tensor]:
        qkv = [t.clone().to(kind).requires_grad_() for t in given]
        found = attend(*qkv)
        (found.float() * pull).sum().backward()
        return [found, *(t.grad for t in qkv)]  # type: ignore[misc]

    exact = with_gradients(by_mask, torch.float32)
    once = with_gradients(lambda *qkv: at_once(Module(), *qkv, None, **how)[0], dtype)
    assert kernel.calls == 1
    turn = with_gradients(lambda *qkv: in_turn(Module(), *qkv, None, **how)[0], dtype)
    for ours in (once, turn):
        for found, wanted in zip(ours, exact, strict=True):
            assert found.dtype == dtype
            assert (found.float() - wanted).norm() < 0.01 * wanted.norm()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_a_model_s_sequences_get_what_they_get_alone(
    device: str, kernel: ReferenceKernel, config: PretrainedConfig
) -> None:
    torch.manual_seed(1)
    exact, model = (
        AutoModelForCausalLM.from_config(deepcopy(config)).to(device).to(dtype).eval()
        for dtype in (torch.float32, torch.bfloat16)
    )
    model.load_state_dict(exact.state_dict())
    assert use_packing(model) and packing.is_packed(model)
    assert model.config._attn_implementation == packing.AT_ONCE
    kernel.calls = 0
    packed = pack(FAMILIES)
    with torch.inference_mode():
        states = hidden_states(model.base_model, packed)
    assert kernel.calls == 2  # one in each layer
    ends = iter(packed.segments)
    for beginning, continuations in FAMILIES:
        if beginning:
            next(ends)
        for continuation in continuations:
            start, stop, *_ = next(ends)
            ids = torch.tensor([[*beginning, *continuation]], device=device)
            with torch.inference_mode():
                wanted = exact.base_model(ids).last_hidden_state[0, len(beginning) :]
            off = (states[start:stop].float() - wanted).norm() / wanted.norm()
            assert off < 0.03, (ids, off)


def test_a_training_after_scoring_in_one_process_gets_its_gradients(
    device: str, kernel: ReferenceKernel
) -> None:
    """Under autocast, which the kernel does not know; and the row's layout is remembered."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(Qwen3Config(**SIZES)).to(device).float()
    assert use_packing(model)
    packed = pack([([], [[3, 4, 9, 5], [7, 8]])])
    with torch.autocast(device, torch.bfloat16):
        with torch.inference_mode():
            hidden_states(model.base_model, packed)
        kernel.calls = 0
        hidden_states(model.base_model, packed).float().square().sum().backward()
    assert kernel.calls == 2
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    for ids in ([3, 4, 9, 5], [7, 8]):
        model.set_attn_implementation("eager")
        with torch.autocast(device, torch.bfloat16):
            states = model.base_model(torch.tensor([ids], device=device)).last_hidden_state
        states.float().square().sum().backward()
    for name, gradient in found.items():
        wanted = model.get_parameter(name).grad
        assert (gradient - wanted).norm() <= 0.05 * wanted.norm() + 1e-6, name


def test_a_kernel_that_the_gpu_lacks_is_not_used(device: str, kernel: ReferenceKernel) -> None:
    """Whatever the model's type: one in float32 meets it in training, under autocast."""

    def lacking(*_: Any, **__: Any) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    there = varlen.kernel_of(torch.device(device))
    assert there is not None and varlen._runs(there, torch.device(device))
    assert kernel.calls == 1
    assert not varlen._runs(lacking, torch.device(device))


def test_the_flash_attn_package_gives_the_same(device: str, kernel: ReferenceKernel) -> None:
    """Transformers' flash_attention_2 on rows without padding, by position ids."""
    pytest.importorskip("flash_attn", reason="flash-attn is not installed")
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**SIZES)).to(device).bfloat16().eval()
    packed = pack([([], [[3, 4, 9, 5], [7, 8], [*range(1, 30)]])])
    assert use_packing(model)
    with torch.inference_mode():
        ours = hidden_states(model.base_model, packed).float()
        model.set_attn_implementation("flash_attention_2")
        theirs = model.base_model(
            input_ids=torch.tensor([packed.input_ids], device=device),
            position_ids=torch.tensor([packed.position_ids], device=device),
            use_cache=False,
        )[0][0].float()
    assert (ours - theirs).norm() < 0.02 * theirs.norm()
