"""What torch says that its kernel for packed rows computes, by its plain attention."""

from typing import Any

import pytest
import torch
from torch.nn.attention.bias import causal_lower_right

from persyn_kedro.foundations.models import varlen


class ReferenceKernel:
    """Stands for ``varlen_attn`` on a CPU; on a GPU it only counts the real one's calls."""

    def __init__(self, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        real = None if device == "cpu" else varlen.kernel_of(torch.device("cuda", 0))
        assert real is not None or device == "cpu", "this GPU is too old for flash attention"

        def counted(*args: Any, **more: Any) -> torch.Tensor:
            self.calls += 1
            return (real or _varlen_attn)(*args, **more)

        monkeypatch.setattr(varlen, "kernel_of", lambda _: counted)


def _varlen_attn(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    queries: torch.Tensor,
    keys: torch.Tensor,
    most_queries: int,
    most_keys: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """As the documentation of ``torch.nn.attention.varlen`` has it, sequence by sequence."""
    assert queries.dtype == keys.dtype == torch.int32 and window_size[1] == 0
    assert query.dtype == key.dtype == value.dtype and query.dtype.itemsize == 2
    assert enable_gqa or query.shape[1] == key.shape[1]
    parts = []
    for i in range(len(queries) - 1):
        own = query[queries[i] : queries[i + 1]].transpose(0, 1)[None]
        k, v = (t[keys[i] : keys[i + 1]].transpose(0, 1)[None] for t in (key, value))
        assert own.shape[2] <= most_queries and k.shape[2] <= most_keys
        mask: Any = causal_lower_right(own.shape[2], k.shape[2])._materialize(query.device)
        if window_size[0] >= 0:
            at = torch.arange(k.shape[2])
            mask &= at >= at[-own.shape[2] :, None] - window_size[0]
        found = torch.nn.functional.scaled_dot_product_attention(
            own, k, v, attn_mask=mask, scale=scale, enable_gqa=enable_gqa
        )
        parts.append(found[0].transpose(0, 1))
    assert queries[-1] == len(query) and keys[-1] == len(key)
    return torch.cat(parts)
