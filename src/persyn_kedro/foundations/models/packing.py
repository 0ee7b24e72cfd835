"""Many sequences in one row, without padding: only attention knows where each begins and ends.

All other layers treat each token independently, so they run on the full row at once. Sequences
with a common prefix (one prompt, K responses) share it: it is computed once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.models import varlen
from persyn_kedro.foundations.models.packed_attention import CannotPack, at_once, in_turn
from persyn_kedro.foundations.models.varlen import Segment

if TYPE_CHECKING:
    import torch

# Our attention's names in transformers: one kernel for all sequences, or one after another.
AT_ONCE, IN_TURN = "persyn_packed_at_once", "persyn_packed"
ATTENTIONS: dict[str, Callable[..., Any]] = {AT_ONCE: at_once, IN_TURN: in_turn}
Family = tuple[list[int], Sequence[list[int]]]
PROBE: list[Family] = [([5, 6, 7], [[8, 9], [4, 8, 3, 5]]), ([], [[3, 4, 9]])]


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
    return model.config._attn_implementation in ATTENTIONS


def use_packing(model: Any) -> bool:
    """Give ``model`` the attention for packed rows if its results stay the same; return whether.

    The hidden states of a short packed row are compared with those of its sequences one by one: a
    model that mixes tokens by other means (a state space, a convolution) keeps its own attention.
    For a sharded model the logits are compared: its weights are only gathered for a full forward.
    """
    if _depends_on_the_row(model.config.get_text_config()):
        return False
    before = model.config._attn_implementation
    sharded = model.is_distributed_loading_by_transformers
    base = model if sharded else model.base_model
    wanted = _states_alone(base)
    kinds = (AT_ONCE, IN_TURN) if varlen.kernel_of(model.device) else (IN_TURN,)
    same = any(_gives(wanted, model, base, kind) for kind in kinds)
    if sharded:
        _reshard(model)
    if not same:
        model.set_attn_implementation(before)
    return same


def _states_alone(base: Any) -> list["torch.Tensor"]:
    import torch

    sequences = [[*beginning, *more] for beginning, many in PROBE for more in many]
    with torch.no_grad():
        return [
            base(input_ids=torch.tensor([ids], device=base.device), use_cache=False)[0][0]
            for ids in sequences
        ]


def _gives(wanted: Sequence["torch.Tensor"], model: Any, base: Any, attention: str) -> bool:
    """Set our attention; return whether the probe's sequences get these states in a packed row."""
    import torch
    from transformers import AttentionInterface

    windows: set[int | None] = set()
    attend = ATTENTIONS[attention]

    def probed(*args: Any, **more: Any) -> Any:
        windows.add(more.get("sliding_window"))
        return attend(*args, **more)

    AttentionInterface.register(attention, probed)
    try:
        with torch.no_grad():
            model.set_attn_implementation(attention)
            found = hidden_states(base, pack(PROBE))
    except (CannotPack, ValueError, TypeError, AttributeError):
        return False
    except RuntimeError:
        if attention == AT_ONCE:  # a GPU that the kernel was not built for
            return False
        raise
    finally:
        AttentionInterface.register(attention, attend)
    if getattr(model.config.get_text_config(), "sliding_window", None) and windows <= {None}:
        return False  # its window is applied by a mask, which packing omits
    # The row: 3 shared tokens, continuations of 2 and of 4, a sequence of 3.
    rows = ([0, 1, 2, 3, 4], [0, 1, 2, 5, 6, 7, 8], [9, 10, 11])
    return all(_same(found[r], w) for r, w in zip(rows, wanted, strict=True))


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
