"""Normalisation a few rows at a time, so that its many passes stay in the processor's cache."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_CACHED = 2**17  # numbers; 512 KiB in float32


def norms_by_rows(model: Any) -> None:
    """Make a CPU model's RMS and layer norms run block by block, with the same bits. No gradients.

    A norm treats each row independently, but on a long row of tokens each of its passes goes
    through main memory (docs/performance.md).
    """
    if model.device.type != "cpu":
        return
    for module in model.modules():
        if type(module).__name__.endswith(("RMSNorm", "LayerNorm")) and _is_by_row(module):
            module.forward = _by_rows(module.forward, _CACHED)


def _by_rows(forward: Callable[..., "torch.Tensor"], cached: int) -> Callable[..., "torch.Tensor"]:
    def blocks(states: "torch.Tensor") -> "torch.Tensor":
        import torch

        rows = max(1, cached // max(1, states[:, :1].numel()))
        if states.dim() < 3 or states.shape[1] <= rows:
            return forward(states)
        found = torch.empty_like(states)
        pairs = zip(states.split(rows, dim=1), found.split(rows, dim=1), strict=True)
        for block, place in pairs:
            place.copy_(forward(block))
        return found

    return blocks


def _is_by_row(module: Any) -> bool:
    """Return whether ``module`` gives (1, tokens, width) the same bits and type block by block."""
    import torch

    weight = getattr(module, "weight", None)
    if weight is None or weight.dim() != 1:
        return False
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(1, 3, len(weight), generator=draw).to(weight.dtype)
    with torch.inference_mode():
        whole, found = module(states), _by_rows(module.forward, 1)(states)
    return whole.dtype == found.dtype and torch.equal(whole, found)
