"""Attention of a packed row, in which each sequence sees itself and what it continues."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.models import varlen
from persyn_kedro.foundations.models.varlen import Segment

if TYPE_CHECKING:
    import torch

SHORT = 512  # up to here the CPU's fused kernel has a slower backward pass than plain products


class CannotPack(Exception):
    """A model's attention has a part that packing does not support."""


def at_once(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    dropout: float = 0.0,
    **more: Any,
) -> tuple["torch.Tensor", None]:
    """As ``in_turn``, by one kernel for all segments if it can compute this."""
    segments, rate = more.get("segments"), dropout if module.training else 0.0
    others = (more.get("softcap"), more.get("s_aux"))
    if segments is None or others != (None, None) or not varlen.computes(query, value, rate):
        return in_turn(module, query, key, value, attention_mask, dropout=dropout, **more)
    window = more.get("sliding_window")
    return varlen.attend(query, key, value, segments, more.get("scaling"), window), None


def in_turn(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    segments: tuple[Segment, ...] | None = None,
    **_: Any,
) -> tuple["torch.Tensor", None]:
    """Attend within each segment; shapes are those of transformers: (1, heads, tokens, width).

    A continuation's queries run together with its prefix's: the causal kernel then needs no mask,
    and computing a short prefix's attention again costs less than a mask.
    """
    import torch

    if segments is None or softcap is not None or s_aux is not None:
        raise CannotPack
    rate = dropout if module.training else 0.0
    outputs = []
    for start, stop, *shared in segments:
        q, k, v = (_rows(t, start, stop, shared) for t in (query, key, value))
        output = _causal_attention(q, k, v, scaling, rate, sliding_window)
        outputs.append(output[:, :, shared[1] - shared[0] :])
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _causal_attention(
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    scaling: float | None,
    dropout: float,
    sliding_window: int | None,
) -> "torch.Tensor":
    """Attend within one sequence: (1, heads, tokens, width); key heads may be fewer (GQA)."""
    import torch

    groups, length = query.shape[1] // key.shape[1], query.shape[2]
    trains = torch.is_grad_enabled() and query.requires_grad
    if trains and query.device.type == "cpu" and length <= SHORT and not dropout and scaling:
        if groups > 1:
            key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
        hidden = ~_visible(length, sliding_window or length, query.device)
        scores = (query @ key.transpose(-1, -2) * scaling).masked_fill(hidden, -math.inf)
        return scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype) @ value
    windowed = sliding_window is not None and length > sliding_window
    half = query.dtype != torch.float32
    fused = query.device.type == "cuda" and half and not windowed
    if groups > 1 and query.device.type != "cpu" and not fused:
        # A GPU's fused kernels support fewer key heads only in half precision and without a mask.
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
        groups = 1
    window = _visible(length, sliding_window or length, query.device) if windowed else None
    return torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=window,
        is_causal=window is None,
        dropout_p=dropout,
        scale=scaling,
        enable_gqa=groups > 1,
    )


def _rows(states: "torch.Tensor", start: int, stop: int, shared: Sequence[int]) -> "torch.Tensor":
    import torch

    own = states[:, :, start:stop]
    if shared[0] == shared[1]:
        return own
    return torch.cat([states[:, :, shared[0] : shared[1]], own], dim=2)


def _visible(length: int, window: int, device: Any) -> "torch.Tensor":
    """Return which keys (length, length) a query sees: itself and the ``window - 1`` before it."""
    import torch

    at = torch.arange(length, device=device)
    distance = at[:, None] - at[None, :]
    return (distance >= 0) & (distance < window)
