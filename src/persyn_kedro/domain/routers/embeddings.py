"""Prompts through a backbone: token ids, padded batches, mean-pooled embeddings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.weights import ResolvedModel


def load_backbone(backbone: "ResolvedModel") -> tuple[Any, Any]:
    """Return the base model (no LM head, float32, on the device, eval) and its tokenizer."""
    import torch
    from transformers import AutoModel

    from persyn_kedro.foundations.loading import (
        device,
        load_tokenizer,
        readable,
        source_options,
    )

    with readable(backbone):
        model = AutoModel.from_pretrained(
            backbone.directory, dtype=torch.float32, **source_options(backbone)
        )
    return model.to(device()).eval(), load_tokenizer(backbone)


def encode(tokenizer: Any, prompts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Return each rendered prompt's token ids, cut on the left to the last ``max_tokens``."""
    from persyn_kedro.foundations.rendering import render_prompt

    return [render_prompt(tokenizer, None, prompt)[-max_tokens:] for prompt in prompts]


def longest(model: Any, max_tokens: int) -> int:
    """Return how many tokens of a prompt the backbone reads: its context, if that is shorter."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(max_tokens, context or max_tokens)


def hidden_states(
    model: Any, tokenizer: Any, ids: Sequence[list[int]]
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Run one right-padded batch.

    Returns the last hidden states (b, t, hidden), float32, and the attention mask (b, t).
    """
    import torch

    longest = max(len(row) for row in ids)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    tokens = torch.tensor([row + [pad] * (longest - len(row)) for row in ids], device=model.device)
    mask = torch.tensor(
        [[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=model.device
    )
    output = model(input_ids=tokens, attention_mask=mask, use_cache=False)
    return output.last_hidden_state, mask


_memory: ContextVar[dict[tuple, np.ndarray] | None] = ContextVar("embeddings", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Embed each prompt once within this context, and load no model for those known already."""
    token = _memory.set({})
    try:
        yield
    finally:
        _memory.reset(token)


def embed_batches(
    backbone: "ResolvedModel", prompts: Sequence[str], batch_size: int, max_tokens: int = 1024
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
    backbone: "ResolvedModel", prompts: Sequence[str], batch_size: int, max_tokens: int
) -> Iterator[np.ndarray]:
    import torch

    model, tokenizer = load_backbone(backbone)
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        ids = encode(tokenizer, batch, longest(model, max_tokens))
        with torch.inference_mode():
            states, mask = hidden_states(model, tokenizer, ids)
            pooled = (states * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        yield pooled.cpu().numpy()


def embed(
    backbone: "ResolvedModel", prompts: Sequence[str], batch_size: int, max_tokens: int = 1024
) -> np.ndarray:
    """Return the (n, hidden) float32 embeddings of one or more prompts."""
    return np.concatenate(list(embed_batches(backbone, prompts, batch_size, max_tokens)))
