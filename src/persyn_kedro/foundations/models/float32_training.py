"""Training in bfloat16 on a processor without instructions for it: products in float32.

As ``float32_products`` for inference, but forward and backward. Torch's own bfloat16 products are
slowest in the backward pass there (docs/performance.md).
"""

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.models.float32_products import has_instructions

if TYPE_CHECKING:
    import torch


def train_with_float32_products(trainer: Any) -> None:
    """Make the linear layers of a trainer's model multiply in float32 if that is faster.

    What is multiplied is rounded to bfloat16 first, and the product once, as bfloat16's own
    kernels do; only the order of the sums differs. Nothing is done on a GPU, in float32, or where
    the processor has instructions for bfloat16.
    """
    import torch

    model = trainer.model
    half = trainer.args.bf16 or model.dtype == torch.bfloat16
    if not half or trainer.args.device.type != "cpu" or has_instructions(torch.bfloat16):
        return
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.forward = partial(_product, module)  # type: ignore[method-assign]


def _product(layer: Any, states: "torch.Tensor") -> "torch.Tensor":
    return _function().apply(states, layer.weight, layer.bias)


@cache
def _function() -> Any:
    import torch
    from torch.nn.functional import linear

    def rounded(tensor: Any) -> Any:
        return tensor.to(torch.bfloat16).float()

    class Product(torch.autograd.Function):
        """``linear`` in bfloat16; keeps what autocast would, and converts weights anew."""

        @staticmethod
        def forward(ctx: Any, states: Any, weight: Any, bias: Any) -> Any:
            half = states.to(torch.bfloat16)
            ctx.save_for_backward(half, weight)
            ctx.types = states.dtype, None if bias is None else bias.dtype
            with torch.autocast("cpu", enabled=False):
                added = None if bias is None else rounded(bias)
                return linear(half.float(), rounded(weight), added).to(torch.bfloat16)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            half, weight = ctx.saved_tensors
            of_states, of_bias = ctx.types
            needs, found = ctx.needs_input_grad, [None, None, None]
            with torch.autocast("cpu", enabled=False):
                rows = rounded(gradient).flatten(0, -2)
                if needs[0]:
                    found[0] = rounded(rows @ rounded(weight)).to(of_states).view(half.shape)
                if needs[1]:
                    product = rows.T @ half.float().flatten(0, -2)
                    found[1] = rounded(product).to(weight.dtype)
                if needs[2]:
                    found[2] = rounded(rows.sum(0)).to(of_bias)
            return tuple(found)

    return Product
