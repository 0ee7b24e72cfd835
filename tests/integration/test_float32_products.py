"""Products in float32 give half precision's numbers, and only stand in where it has no hardware."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from persyn_kedro.foundations.models import float32_products
from persyn_kedro.foundations.models.float32_products import has_instructions, products_in_float32
from persyn_kedro.foundations.models.packing import use_packing

SIZES = {"vocab_size": 50, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
IDS = torch.arange(2, 22)[None]


def _model(config: Any, dtype: Any) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config).to(dtype).eval()


def _replaced(model: Any) -> set[str]:
    return {name for name, module in model.named_modules() if "forward" in vars(module)}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config])  # without and with biases
def test_the_logits_are_those_of_half_precision_up_to_rounding(
    monkeypatch: pytest.MonkeyPatch, kind: Any, dtype: Any
) -> None:
    monkeypatch.setattr(float32_products, "has_instructions", lambda _: False)
    model, exact = _model(kind(**SIZES), dtype), _model(kind(**SIZES), torch.float32)
    exact.load_state_dict(model.state_dict())
    with torch.inference_mode():
        wanted, half = exact(IDS).logits, model(IDS).logits
        products_in_float32(model)
        found = model(IDS).logits
    assert _replaced(model) == {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
    }
    assert found.dtype == dtype and not found.isnan().any()
    off = [(logits.float() - wanted).norm() for logits in (half, found)]
    assert off[1] < 1.1 * off[0] + 1e-6  # no worse than half precision itself
    assert (found.float() - half.float()).norm() < 0.01 * wanted.norm()
    assert use_packing(model)


def test_a_product_is_rounded_once() -> None:
    layer = torch.nn.Linear(300, 40).bfloat16()
    states = torch.randn(7, 300).bfloat16()
    with torch.inference_mode():
        exact = states.double() @ layer.weight.double().T + layer.bias.double()
        found = float32_products._product(layer, states)
    spacing = 2.0 ** (exact.abs().log2().floor() - 7)  # of bfloat16's numbers
    assert ((found.double() - exact).abs() <= 0.501 * spacing).all()


def test_a_build_of_torch_without_onednn_has_no_instructions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.delattr(torch.ops, "mkldnn")  # as there
    found = [has_instructions(d) for d in (torch.float32, torch.bfloat16, torch.float16)]
    assert found == [True, False, False]


@pytest.mark.parametrize(("has", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_with_instructions_or_in_float32_nothing_is_replaced(
    monkeypatch: pytest.MonkeyPatch, has: bool, dtype: Any
) -> None:
    asked = lambda kind: has or kind == torch.float32  # noqa: E731
    monkeypatch.setattr(float32_products, "has_instructions", asked)
    model = _model(LlamaConfig(**SIZES), dtype)
    products_in_float32(model)
    assert not _replaced(model)


def test_what_the_processor_has_is_what_onednn_says() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert float32_products.has_instructions(torch.float32)
    if "avx512bw" not in flags and "bf16" not in flags:
        assert not float32_products.has_instructions(torch.bfloat16)
    if "avx512_bf16" in flags:
        assert float32_products.has_instructions(torch.bfloat16)
