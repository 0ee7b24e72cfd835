"""Attention of a packed row by one kernel for all its sequences: torch's, on CUDA GPUs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

AMPERE = (8, 0)  # the first GPUs that flash attention runs on
WIDEST = 256  # of a head, for flash attention; a width must be a multiple of 8
Segment = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Layout:
    """Where each segment's queries and keys are.

    Attributes:
        queries: (segments + 1) int32, the queries before each segment; all of the row are queries.
        keys: as ``queries``.
        chosen: which tokens of the row are keys, segment by segment, shared ones once for each
            that continues them; None: all, in their order.
        most_queries, most_keys: of a segment.
    """

    queries: "torch.Tensor"
    keys: "torch.Tensor"
    chosen: "torch.Tensor | None"
    most_queries: int
    most_keys: int


@cache
def kernel_of(device: "torch.device") -> Callable[..., "torch.Tensor"] | None:
    """Return torch's ``varlen_attn`` if the device can run it."""
    import torch

    if device.type != "cuda" or torch.version.hip:
        return None
    if torch.cuda.get_device_capability(device) < AMPERE:
        return None
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn if _runs(varlen_attn, device) else None


def _runs(kernel: Callable[..., "torch.Tensor"], device: "torch.device") -> bool:
    """Return whether this build of torch has the kernel for the device.

    A check of a float32 model would not show it, which then trains under autocast.
    """
    import torch

    states = torch.zeros(2, 1, 16, dtype=torch.bfloat16, device=device)
    ends = torch.tensor([0, 2], dtype=torch.int32, device=device)
    try:
        kernel(states, states, states, ends, ends, 2, 2, scale=None, window_size=(-1, 0),
               enable_gqa=False)  # fmt: skip
    except RuntimeError:
        return False
    return True


def computes(query: "torch.Tensor", value: "torch.Tensor", dropout: float) -> bool:
    """Return whether ``attend`` takes tensors like these: of half precision, without dropout."""
    import torch

    width = query.shape[-1]
    return (
        kernel_of(query.device) is not None
        and not dropout
        and _dtype(query) in (torch.float16, torch.bfloat16)
        and width % 8 == 0
        and width <= WIDEST
        and value.shape[-1] == width
    )


def attend(
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    segments: Sequence[Segment],
    scaling: float | None,
    window: int | None,
) -> "torch.Tensor":
    """Return (1, tokens, heads, width) from (1, heads, tokens, width); fewer key heads are allowed.

    A segment's queries see the tokens that it continues, and itself causally: the kernel aligns
    the last query with the last key.
    """
    kernel = kernel_of(query.device)
    assert kernel is not None  # noqa: S101 - asked by ``computes``
    layout = _layout(tuple(segments), query.device)
    dtype = _dtype(query)
    query, key, value = (t[0].transpose(0, 1).to(dtype) for t in (query, key, value))
    if layout.chosen is not None:
        key, value = key[layout.chosen], value[layout.chosen]
    found = kernel(
        query,
        key,
        value,
        layout.queries,
        layout.keys,
        layout.most_queries,
        layout.most_keys,
        scale=scaling,
        window_size=(-1 if window is None else window - 1, 0),  # the keys before a query's own
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return found[None]


def _dtype(states: "torch.Tensor") -> Any:
    """Return the type to compute in; autocast does not know this kernel."""
    import torch

    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype


@lru_cache(maxsize=2)  # each layer asks again for the same row
def _layout(segments: tuple[Segment, ...], device: "torch.device") -> _Layout:
    import torch

    queries = [stop - start for start, stop, _, _ in segments]
    keys = [q + stop - start for q, (_, _, start, stop) in zip(queries, segments, strict=True)]
    chosen = [
        token
        for start, stop, *shared in segments
        for token in (*range(*shared), *range(start, stop))
    ]
    with torch.inference_mode(False):  # a gradient may be wanted of the next row like this
        before_queries, before_keys = (
            torch.tensor([0, *accumulate(sizes)], dtype=torch.int32, device=device)
            for sizes in (queries, keys)
        )
        shares = keys != queries
        at = torch.tensor(chosen, device=device) if shares else None
    return _Layout(before_queries, before_keys, at, max(queries), max(keys))
