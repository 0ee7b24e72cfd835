"""Log-likelihood and rank of each token of many passages, from packed forward passes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.packing import Family, hidden_states, pack

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

K = TypeVar("K")

_CACHED = 2**19  # logits; 2 MiB in float32


class Passage(NamedTuple):
    """A prompt and what follows it, as token ids, whose first ``context`` are not scored."""

    prompt_ids: list[int]
    ids: list[int]
    context: int = 0

    def fits(self, model: "PreTrainedModel") -> bool:
        """Return whether there is something to score, and it is within the model's context."""
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        length = len(self.prompt_ids) + len(self.ids)
        return bool(self.ids) and (context is None or length <= context)


def batches(
    passages: Iterable[tuple[K, Passage]], pack_tokens: int
) -> Iterator[list[tuple[K, Passage]]]:
    """Yield runs of passages that together reach ``pack_tokens`` tokens, counting repeats once."""
    batch: list[tuple[K, Passage]] = []
    tokens, prompt_ids = 0, None
    for key, item in passages:
        batch.append((key, item))
        tokens += len(item.ids)
        if item.prompt_ids != prompt_ids:
            tokens += len(item.prompt_ids)
        prompt_ids = item.prompt_ids
        if tokens >= pack_tokens:
            yield batch
            batch, tokens, prompt_ids = [], 0, None
    if batch:
        yield batch


def token_scores(
    model: "PreTrainedModel", batch: Sequence[Passage], chunk: int, packs: bool
) -> list[tuple["Tensor", "Tensor", "Tensor"]]:
    """Return log p, rank (from 1) and the sum of p squared at each passage's scored tokens.

    Each is (tokens,) float64, from one pass over all passages (one each if not ``packs``).
    """
    import torch

    if not batch:
        return []
    targets = [torch.tensor(item.ids[item.context :]) for item in batch]
    with torch.inference_mode():
        hidden = _packed_states(model, batch) if packs else _single_states(model, batch)
        true = torch.cat(targets).to(hidden.device)
        chunks = [
            _chunk_statistics(_logits(model, states), ids)
            for states, ids in zip(hidden.split(chunk), true.split(chunk), strict=True)
        ]
        logp, rank, p2 = (torch.cat(parts).cpu().double() for parts in zip(*chunks, strict=True))
    lengths = [len(ids) for ids in targets]
    return list(zip(logp.split(lengths), rank.split(lengths), p2.split(lengths), strict=True))


def _packed_states(model: "PreTrainedModel", batch: Sequence[Passage]) -> "Tensor":
    """Return the states (all scored tokens, width) that predict them, from one packed row."""
    families: list[Family] = []
    rows: list[int] = []  # the prompt's last token predicts the first that follows
    end = 0
    for prompt_ids, items in groupby(batch, key=lambda item: item.prompt_ids):
        passages = list(items)
        alone = len(passages) == 1  # then one sequence, computed exactly like a plain forward
        ids = [item.ids for item in passages]
        families.append(([], [prompt_ids + ids[0]]) if alone else (prompt_ids, ids))
        end += len(prompt_ids)
        last = end - 1
        for item in passages:
            rows += [last, *range(end, end + len(item.ids) - 1)][item.context :]
            end += len(item.ids)
    return hidden_states(model.base_model, pack(families))[rows]


def _single_states(model: "PreTrainedModel", batch: Sequence[Passage]) -> "Tensor":
    """Return what ``_packed_states`` does, from one forward pass per passage."""
    import torch

    states = []
    for item in batch:
        ids = torch.tensor([item.prompt_ids + item.ids], device=model.device)
        first = len(item.prompt_ids) + item.context - 1
        states.append(_hidden_states(model, ids)[0, first:-1])
    return torch.cat(states)


def _chunk_statistics(logits: "Tensor", true: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return log p, rank (from 1) of the true tokens and the sum of p squared, each (positions).

    On a CPU a few rows at a time, so that they stay in its cache through all passes.
    """
    import torch

    on_cpu = logits.device.type == "cpu"
    rows = len(true) if not on_cpu else max(1, _CACHED // logits.shape[-1])
    logp, p2 = (torch.empty(len(true), device=true.device) for _ in range(2))
    rank = torch.empty_like(true)
    for start in range(0, len(true), rows):  # in place: small tensors would fragment the heap
        at = slice(start, start + rows)
        logp[at], rank[at], p2[at] = _block_statistics(logits[at], true[at])
    return logp, rank, p2


def _block_statistics(logits: "Tensor", true: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    import torch

    logits = logits.float()  # first: comparisons and maxima are slow in bfloat16
    chosen = logits.gather(-1, true[:, None])
    rank = 1 + torch.count_nonzero(logits > chosen, dim=-1)
    top = logits.amax(dim=-1, keepdim=True)
    weights = (logits - top).exp_()
    total = weights.sum(dim=-1)
    logp = (chosen - top)[:, 0] - total.log()
    return logp, rank, torch.linalg.vecdot(weights, weights) / total.square()


def _hidden_states(model: "PreTrainedModel", input_ids: "Tensor") -> "Tensor":
    """Return the last hidden states (batch, length, width), without the language-model head."""
    return model.base_model(input_ids=input_ids, use_cache=False).last_hidden_state


def _logits(model: "PreTrainedModel", hidden: "Tensor") -> "Tensor":
    """Return the logits (..., vocabulary) in the model's dtype, soft-capped if the model does."""
    logits = model.get_output_embeddings()(hidden)
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else (logits / cap).tanh() * cap


def check_head(model: "PreTrainedModel", name: str) -> None:
    """Compare the head as computed here with the model's own on a short input.

    Raises:
        PersynError: they differ.
    """
    import torch

    input_ids = torch.arange(8, device=model.device)[None]
    with torch.inference_mode():
        wanted = model(input_ids=input_ids, use_cache=False).logits.float()
        found = _logits(model, _hidden_states(model, input_ids)).float()
    tolerance = 1e-4 if model.dtype == torch.float32 else 2e-2
    if (wanted - found).abs().max() > tolerance * wanted.abs().max():
        raise PersynError(
            f"Model {name} changes its logits in a way that scoring does not support "
            f"(architecture {type(model).__name__})."
        )
