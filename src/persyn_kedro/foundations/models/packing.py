"""Many sequences in one row, without padding: only attention knows where each begins and ends.

All other layers treat each token independently, so they run on the full row at once. Sequences
with a common prefix (one prompt, K responses) share it: it is computed once.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ATTENTION = "persyn_packed"  # our attention's name in transformers
SHORT = 512  # up to here the CPU's fused kernel has a slower backward pass than plain products
Segment = tuple[int, int, int, int]
Family = tuple[list[int], Sequence[list[int]]]


class CannotPack(Exception):
    """A model's attention has a part that packing does not support."""


@dataclass(frozen=True)
class Pack:
    """A row of token ids with their positions in the sequences they belong to.

    A segment is ``(start, stop, shared_start, shared_stop)``: tokens ``start:stop`` of the row
    continue tokens ``shared_start:shared_stop`` (empty if they begin a sequence).
    """

    input_ids: list[int]
    position_ids: list[int]
    segments: tuple[Segment, ...]


def pack(families: Iterable[Family]) -> Pack:
    """Lay out each ``(beginning, continuations)`` in sequence; a beginning may be empty."""
    ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    for beginning, continuations in families:
        shared = (len(ids), len(ids) + len(beginning))
        for part, after in ((beginning, None), *((c, shared) for c in continuations)):
            if not part:
                continue
            start, first = len(ids), len(beginning) if after else 0
            segments.append((start, start + len(part), *(after or (start, start))))
            ids += part
            positions += range(first, first + len(part))
    return Pack(ids, positions, tuple(segments))


def hidden_states(base_model: Any, packed: Pack, layer: int | None = None) -> "torch.Tensor":
    """Return hidden states (tokens, width) of a model that ``use_packing`` prepared.

    Those after a ``layer``: 0 the input embeddings, None the last.
    """
    import torch

    place = base_model.device
    return states_of(
        base_model,
        layer,
        input_ids=torch.tensor([packed.input_ids], device=place),
        position_ids=torch.tensor([packed.position_ids], device=place),
        segments=packed.segments,
    )


def states_of(base_model: Any, layer: int | None = None, **inputs: Any) -> "torch.Tensor":
    """Return the hidden states (tokens, width) of one row after a layer."""
    if layer is None:
        return base_model(**inputs, use_cache=False)[0][0]
    found = base_model(**inputs, use_cache=False, output_hidden_states=True)
    return found.hidden_states[layer][0]


def is_packed(model: Any) -> bool:
    """Return whether ``use_packing`` gave ``model`` the attention for packed rows."""
    return model.config._attn_implementation == ATTENTION


def use_packing(model: Any) -> bool:
    """Give ``model`` the attention for packed rows if its results stay the same; return whether.

    The hidden states of a short packed row are compared with those of its sequences one by one: a
    model that mixes tokens by other means (a state space, a convolution) keeps its own attention.
    For a sharded model the logits are compared: its weights are only gathered for a full forward.
    """
    import torch
    from transformers import AttentionInterface

    if _depends_on_the_row(model.config.get_text_config()):
        return False
    windows: set[int | None] = set()

    def probed(*args: Any, **more: Any) -> Any:
        windows.add(more.get("sliding_window"))
        return _attention(*args, **more)

    AttentionInterface.register(ATTENTION, probed)
    before = model.config._attn_implementation
    families = [([5, 6, 7], [[8, 9], [4, 8, 3, 5]]), ([], [[3, 4, 9]])]
    sequences = [[*a, *b] for a, many in families for b in many]
    sharded = model.is_distributed_loading_by_transformers
    base = model if sharded else model.base_model
    with torch.no_grad():
        wanted = [
            base(input_ids=torch.tensor([ids], device=model.device), use_cache=False)[0][0]
            for ids in sequences
        ]
        try:
            model.set_attn_implementation(ATTENTION)
            found = hidden_states(base, pack(families))
        except (CannotPack, ValueError, TypeError, AttributeError):
            found = None
    if sharded:
        _reshard(model)
    AttentionInterface.register(ATTENTION, _attention)
    if getattr(model.config.get_text_config(), "sliding_window", None) and windows <= {None}:
        found = None  # its window is applied by a mask, which packing omits
    # The row: 3 shared tokens, continuations of 2 and of 4, a sequence of 3.
    rows = ([0, 1, 2, 3, 4], [0, 1, 2, 5, 6, 7, 8], [9, 10, 11])
    if found is not None and all(_same(found[r], w) for r, w in zip(rows, wanted, strict=True)):
        return True
    model.set_attn_implementation(before)
    return False


def _reshard(model: Any) -> None:
    """Shard again what a pass without a backward left unsharded: the optimizer needs the shards."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _depends_on_the_row(config: Any) -> bool:
    """Return whether a token's states depend on more of the row than its own sequence.

    Some rotary embeddings change with the row's highest position, chunked attention with a
    token's place in it. The probe's short row would show neither.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    layers = getattr(config, "layer_types", None) or []
    return bool(kinds & {"dynamic", "longrope"}) or "chunked_attention" in layers


def _same(found: "torch.Tensor", wanted: "torch.Tensor") -> bool:
    import torch

    tolerance = 1e-4 if wanted.dtype == torch.float32 else 5e-2
    found, wanted = found.float(), wanted.float()
    return bool((found - wanted).norm() <= tolerance * wanted.norm())


def _attention(
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
    if groups > 1 and query.device.type != "cpu" and (windowed or not half):
        # In half precision a GPU's fused kernels support fewer key heads only without a mask.
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
