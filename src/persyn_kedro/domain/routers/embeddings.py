"""Prompts through a backbone: token ids, hidden states, mean-pooled embeddings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.models import packing
from persyn_kedro.foundations.prompts.conversation import Prompt

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.models.resolve import ResolvedModel


def load_backbone(backbone: "ResolvedModel") -> tuple[Any, Any]:
    """Return the base model (no LM head, float32, on the device, eval) and its tokenizer."""
    import torch
    from transformers import AutoModel

    from persyn_kedro.foundations.models.load import (
        device,
        load_tokenizer,
        readable,
        source_options,
    )

    with readable(backbone):
        model = AutoModel.from_pretrained(
            backbone.directory, dtype=torch.float32, **source_options(backbone)
        )
    model = model.to(device()).eval()
    packing.use_packing(model)
    return model, load_tokenizer(backbone)


def encode(tokenizer: Any, prompts: Sequence[Prompt], max_tokens: int) -> list[list[int]]:
    """Return each rendered prompt's token ids, truncated on the left to the last ``max_tokens``."""
    from persyn_kedro.foundations.models.rendering import render_prompt

    return [render_prompt(tokenizer, None, prompt)[-max_tokens:] for prompt in prompts]


def longest(model: Any, max_tokens: int) -> int:
    """Return how many tokens of a prompt the backbone reads: at most its context."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(max_tokens, context or max_tokens)


def hidden_states(model: Any, ids: Sequence[list[int]]) -> list["torch.Tensor"]:
    """Return the last hidden states (tokens, hidden), float32, of each prompt of a batch.

    The batch runs as one packed row, or prompt by prompt if the model cannot be packed.
    """
    import torch

    progress.add_tokens(sum(map(len, ids)))
    if packing.is_packed(model):
        states = packing.hidden_states(model, packing.pack([([], list(ids))]))
        return list(states.split([len(row) for row in ids]))
    return [
        model(input_ids=torch.tensor([row], device=model.device), use_cache=False)[0][0]
        for row in ids
    ]


# The one used last, by weights_id and chat template.
_loaded: dict[tuple[str, str], tuple[Any, Any]] | None = None


def keep_loaded() -> None:
    """Keep the frozen backbone in this process from now on: it embeds block after block."""
    global _loaded
    _loaded = {}


def _frozen(backbone: "ResolvedModel") -> tuple[Any, Any]:
    """Return the backbone and its tokenizer, loaded again unless it is kept."""
    global _loaded
    key = (backbone.weights_id, backbone.chat_template)
    kept = (_loaded or {}).get(key)
    if kept is None:
        kept = load_backbone(backbone)
        progress.loaded()
        if _loaded is not None:
            _loaded = {key: kept}
    return kept


_memory: ContextVar[dict[tuple, np.ndarray] | None] = ContextVar("embeddings", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Embed each prompt once within this context; load no model for prompts already embedded."""
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def embed_batches(
    backbone: "ResolvedModel", prompts: Sequence[Prompt], batch_size: int, max_tokens: int = 1024
) -> Iterator[np.ndarray]:
    """Yield (b, hidden) float32 batches of mean-pooled last hidden states, in prompt order."""
    memory = _memory.get()
    if memory is None:
        yield from _embed(backbone, prompts, batch_size, max_tokens)
        return
    place = (backbone.weights_id, backbone.chat_template, max_tokens)
    new = [p for p in dict.fromkeys(prompts) if (*place, p) not in memory]
    done = 0
    for points in _embed(backbone, new, batch_size, max_tokens) if new else ():
        keys = [(*place, p) for p in new[done : done + len(points)]]
        memory.update(zip(keys, points, strict=True))
        done += len(points)
    for start in range(0, len(prompts), batch_size):
        yield np.stack([memory[(*place, p)] for p in prompts[start : start + batch_size]])


def _embed(
    backbone: "ResolvedModel", prompts: Sequence[Prompt], batch_size: int, max_tokens: int
) -> Iterator[np.ndarray]:
    import torch

    model, tokenizer = _frozen(backbone)
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        ids = encode(tokenizer, batch, longest(model, max_tokens))
        with torch.inference_mode():
            pooled = torch.stack([states.mean(dim=0) for states in hidden_states(model, ids)])
        yield pooled.cpu().numpy()


def embed(
    backbone: "ResolvedModel", prompts: Sequence[Prompt], batch_size: int, max_tokens: int = 1024
) -> np.ndarray:
    """Return the (n, hidden) float32 embeddings of one or more prompts."""
    batches = []
    with progress.watching("embedding", len(prompts), "prompts") as watch:
        for batch in embed_batches(backbone, prompts, batch_size, max_tokens):
            watch.advance(len(batch))
            batches.append(batch)
    return np.concatenate(batches)
