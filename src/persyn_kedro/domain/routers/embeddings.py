"""Prompts through a backbone: token ids, hidden states, and one point for each prompt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import packing
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings, Pooling

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
    from persyn_kedro.foundations.models.resolve import here

    backbone = here(backbone)
    with readable(backbone):
        model = AutoModel.from_pretrained(
            backbone.directory, dtype=torch.float32, **source_options(backbone)
        )
    model = model.to(device()).eval()
    packing.use_packing(model)
    return model, load_tokenizer(backbone)


def encode(
    tokenizer: Any, prompts: Sequence[Prompt], max_tokens: int, template: bool = True
) -> list[list[int]]:
    """Return each prompt's token ids, at most ``max_tokens``.

    A rendered prompt is truncated on the left. Without the template it is the prompt's text with
    the tokenizer's own special tokens, such as an encoder's, truncated on the right.
    """
    from persyn_kedro.foundations.models.rendering import render_prompt

    if not template:
        most = min(max_tokens, tokenizer.model_max_length)
        return tokenizer(
            list(map(str, prompts)), truncation=True, max_length=most, split_special_tokens=True
        )["input_ids"]
    return [render_prompt(tokenizer, None, prompt)[-max_tokens:] for prompt in prompts]


def longest(model: Any, max_tokens: int) -> int:
    """Return how many tokens of a prompt the backbone reads: at most its context."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(max_tokens, context or max_tokens)


def hidden_states(
    model: Any, ids: Sequence[list[int]], layer: int | None = None
) -> list["torch.Tensor"]:
    """Return the hidden states (tokens, hidden), float32, of each prompt of a batch.

    The batch runs as one packed row, or prompt by prompt if the model cannot be packed.

    Args:
        layer: 0 the input embeddings, then each layer's; None the last.
    """
    import torch

    progress.add_tokens(sum(map(len, ids)))
    if packing.is_packed(model):
        states = packing.hidden_states(model, packing.pack([([], list(ids))]), layer)
        return list(states.split([len(row) for row in ids]))
    rows = [torch.tensor([row], device=model.device) for row in ids]
    return [packing.states_of(model, layer, input_ids=row) for row in rows]


def pooled(states: "torch.Tensor", pooling: Pooling) -> "torch.Tensor":
    """Return one (hidden,) point of a prompt's (tokens, hidden) states."""
    if pooling == "mean":
        return states.mean(dim=0)
    return states[0] if pooling == "cls" else states[-1]


def _check_layer(model: Any, backbone: "ResolvedModel", layer: int | None) -> None:
    layers = model.config.get_text_config().num_hidden_layers
    if layer is not None and layer > layers:
        raise PersynError(
            f"embedding.layer is {layer}, but model {backbone.name!r} has only {layers} layers."
        )


# By weights_id and chat template.
_loaded: dict[tuple[str, str], tuple[Any, Any]] | None = None


def keep_loaded() -> None:
    """Keep frozen backbones in this process from now on: they embed block after block."""
    global _loaded
    _loaded = {}


def _frozen(backbone: "ResolvedModel") -> tuple[Any, Any]:
    """Return the backbone and its tokenizer, loaded again unless it is kept."""
    key = (backbone.weights_id, backbone.chat_template)
    kept = (_loaded or {}).get(key)
    if kept is None:
        kept = load_backbone(backbone)
        progress.loaded()
        if _loaded is not None:
            _loaded[key] = kept
    return kept


_memory: ContextVar[dict[tuple, np.ndarray] | None] = ContextVar("embeddings", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Embed each prompt once within this context; load no model for prompts already embedded.

    Within another such context, the outer one remembers.
    """
    token = _memory.set({} if (outer := _memory.get()) is None else outer)
    try:
        yield
    finally:
        _memory.reset(token)


def embed_batches(
    backbone: "ResolvedModel",
    prompts: Sequence[Prompt],
    batch_size: int,
    max_tokens: int = 1024,
    how: EmbeddingSettings = EmbeddingSettings(),  # noqa: B008 - immutable
    loaded: tuple[Any, Any] | None = None,
) -> Iterator[np.ndarray]:
    """Yield (b, hidden) float32 batches of points, in prompt order; by default mean-pooled.

    ``loaded`` are the backbone and its tokenizer, if the caller has them already.
    """
    memory = _memory.get()
    if memory is None:
        yield from _embed(backbone, prompts, batch_size, max_tokens, how, loaded)
        return
    read = (how.pooling, how.layer, how.template)
    place = (backbone.weights_id, backbone.chat_template, max_tokens, *read)
    new = [p for p in dict.fromkeys(prompts) if (*place, p) not in memory]
    done = 0
    for points in _embed(backbone, new, batch_size, max_tokens, how, loaded) if new else ():
        keys = [(*place, p) for p in new[done : done + len(points)]]
        memory.update(zip(keys, points, strict=True))
        done += len(points)
    for start in range(0, len(prompts), batch_size):
        yield np.stack([memory[(*place, p)] for p in prompts[start : start + batch_size]])


def _embed(
    backbone: "ResolvedModel",
    prompts: Sequence[Prompt],
    batch_size: int,
    max_tokens: int,
    how: EmbeddingSettings,
    loaded: tuple[Any, Any] | None,
) -> Iterator[np.ndarray]:
    import torch

    model, tokenizer = loaded or _frozen(backbone)
    _check_layer(model, backbone, how.layer)
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        ids = encode(tokenizer, batch, longest(model, max_tokens), how.template)
        with torch.inference_mode():
            states = hidden_states(model, ids, how.layer)
            points = torch.stack([pooled(own, how.pooling) for own in states])
        yield points.cpu().numpy()


def embed(
    backbone: "ResolvedModel",
    prompts: Sequence[Prompt],
    batch_size: int,
    max_tokens: int = 1024,
    how: EmbeddingSettings = EmbeddingSettings(),  # noqa: B008 - immutable
) -> np.ndarray:
    """Return the (n, hidden) float32 embeddings of one or more prompts."""
    batches = []
    with progress.watching("embedding", len(prompts), "prompts") as watch:
        for batch in embed_batches(backbone, prompts, batch_size, max_tokens, how):
            watch.advance(len(batch))
            batches.append(batch)
    return np.concatenate(batches)
