"""Matrix products in float32 where the processor has no instructions for half precision.

There torch falls back on plain loops, about a tenth of the speed of float32 (docs/performance.md).
"""

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def products_in_float32(model: Any) -> None:
    """Make a half-precision CPU model's linear layers multiply in float32 if that is faster.

    What a product gives is the same but for the order of its sum: half-precision kernels add up in
    float32 too, and both round the result once. Weights are converted as they are used, so that
    they take no more memory than the largest of them. No gradients.
    """
    import torch

    if model.device.type != "cpu" or has_instructions(model.dtype):
        return
    for module in model.modules():
        if type(module) is torch.nn.Linear and module.weight.dtype == model.dtype:
            module.forward = partial(_product, module)  # type: ignore[method-assign]


def has_instructions(dtype: Any) -> bool:
    """Return whether oneDNN, which torch multiplies with on CPUs, supports the type here.

    Some builds, such as that for Apple's processors, are without it.
    """
    import torch

    if not torch.backends.mkldnn.is_available():
        return dtype == torch.float32
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if dtype == torch.float16:
        return torch.ops.mkldnn._is_mkldnn_fp16_supported()
    return True


def _product(layer: Any, states: "torch.Tensor") -> "torch.Tensor":
    from torch.nn.functional import linear

    bias = None if layer.bias is None else layer.bias.float()
    return linear(states.float(), layer.weight.float(), bias).to(states.dtype)
