"""The student's statistics of each response's tokens, from one packed forward pass."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.norms_by_rows import norms_by_rows
from persyn_kedro.foundations.models.packing import Family, hidden_states, pack, use_packing
from persyn_kedro.foundations.models.rendering import Rendered, render
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.models import Think

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result

Row = dict[str, Any]
Request = tuple[str, Prompt, str]

RANK_LIMIT = 100
_CACHED = 2**19  # logits; 2 MiB in float32


def scorer_id(student: "ResolvedModel", system: str | None, think: Think) -> str:
    """Return the identity of everything that determines a response's statistics.

    These are ``VERSION``, the student's weights, its dtype and template, its system prompt, and the
    response's ``rendering.reading``. Pack and chunk sizes are left out: they change results
    only by rounding (in bfloat16 by as much as bfloat16 itself is off, docs/performance.md).
    """
    identity = {
        "weights_id": student.weights_id,
        "dtype": student.settings.dtype,
        "chat_template": student.chat_template,
        "system": system,
        "think": think,
    }
    return settings_id(identity if VERSION == 1 else {**identity, "version": VERSION})


def token_statistics(
    requests: Iterable[Request],
    student: "ResolvedModel",
    system: str | None,
    dtype: str | None = None,
    pack_tokens: int = 2048,
    vocabulary_chunk: int = 256,
) -> Iterator[Row]:
    """As ``student_scorer``, loading the student for one call."""
    yield from student_scorer(student, system, dtype, pack_tokens, vocabulary_chunk)(requests)


def student_scorer(
    student: "ResolvedModel",
    system: str | None,
    dtype: str | None = None,
    pack_tokens: int = 2048,
    vocabulary_chunk: int = 256,
) -> Callable[[Iterable[Request]], Iterator[Row]]:
    """Load the student; return a function from requests to their statistics.

    It yields one row of STORED_STATISTICS for each (response_key, prompt, visible text), in order.

    Every token of the response is scored, including the first, but not the end-of-turn token
    (METHOD.md, section 1; sums in nats, float64). Statistics are null if the text is empty or,
    with the prompt, longer than the student's context.

    Responses run together, about ``pack_tokens`` tokens at once, without padding; a prompt that
    repeats the one before is computed once. Logits exist for ``vocabulary_chunk`` positions at a
    time, computed in the model's dtype and normalised in float32; never for a full response.

    Raises:
        PersynError: the student's head computes something that this function does not support.
    """
    from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
    from persyn_kedro.foundations.models.resolve import here

    student = here(student)
    tokenizer = load_tokenizer(student)
    model = load_causal_lm(student, dtype=dtype or student.settings.dtype)
    _check_head(model, student.name)
    progress.loaded()
    packs = use_packing(model)
    norms_by_rows(model)

    def score(requests: Iterable[Request]) -> Iterator[Row]:
        items = ((key, render(tokenizer, system, prompt, text)) for key, prompt, text in requests)
        for batch in _batches(items, pack_tokens if packs else 1):
            scorable = [item for _, item in batch if _is_scorable(item, model)]
            scored = iter(_score(model, scorable, vocabulary_chunk, packs))
            for key, item in batch:
                statistics = next(scored) if _is_scorable(item, model) else _nothing(item)
                yield {"response_key": key, **statistics}

    return score


def _batches(
    rendered: Iterable[tuple[str, Rendered]], pack_tokens: int
) -> Iterator[list[tuple[str, Rendered]]]:
    """Yield runs of items that together reach ``pack_tokens`` tokens, counting repeats once."""
    batch: list[tuple[str, Rendered]] = []
    tokens, prompt_ids = 0, None
    for key, item in rendered:
        batch.append((key, item))
        tokens += len(item.response_ids)
        if item.prompt_ids != prompt_ids:
            tokens += len(item.prompt_ids)
        prompt_ids = item.prompt_ids
        if tokens >= pack_tokens:
            yield batch
            batch, tokens, prompt_ids = [], 0, None
    if batch:
        yield batch


def _is_scorable(rendered: Rendered, model: "PreTrainedModel") -> bool:
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    length = len(rendered.prompt_ids) + len(rendered.response_ids)
    return bool(rendered.response_ids) and (context is None or length <= context)


def _nothing(rendered: Rendered) -> Row:
    names = ("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp")
    return {"tokens": len(rendered.response_ids), **dict.fromkeys(names)}


def _score(model: "PreTrainedModel", batch: list[Rendered], chunk: int, packs: bool) -> list[Row]:
    """Return the statistics of each item, from one pass over all (one each if not ``packs``)."""
    import torch

    if not batch:
        return []
    targets = [torch.tensor(item.response_ids) for item in batch]
    with torch.inference_mode():
        hidden = _packed_states(model, batch) if packs else _single_states(model, batch)
        true = torch.cat(targets).to(hidden.device)
        chunks = [
            _chunk_statistics(_logits(model, states), ids)
            for states, ids in zip(hidden.split(chunk), true.split(chunk), strict=True)
        ]
        logp, rank, p2 = (torch.cat(parts).double().cpu() for parts in zip(*chunks, strict=True))
    lengths = [len(ids) for ids in targets]
    parts = zip(logp.split(lengths), rank.split(lengths), p2.split(lengths), strict=True)
    return [_sums(*part) for part in parts]


def _packed_states(model: "PreTrainedModel", batch: list[Rendered]) -> "Tensor":
    """Return the states (all responses' tokens, width) that predict them, from one packed row."""
    families: list[Family] = []
    rows: list[int] = []  # the prompt's last token predicts the response's first
    end = 0
    for prompt_ids, items in groupby(batch, key=lambda item: item.prompt_ids):
        responses = [item.response_ids for item in items]
        alone = len(responses) == 1  # then one sequence, computed exactly like a plain forward
        families.append(([], [prompt_ids + responses[0]]) if alone else (prompt_ids, responses))
        end += len(prompt_ids)
        last = end - 1
        for response in responses:
            rows += [last, *range(end, end + len(response) - 1)]
            end += len(response)
    return hidden_states(model.base_model, pack(families))[rows]


def _single_states(model: "PreTrainedModel", batch: Sequence[Rendered]) -> "Tensor":
    """Return what ``_packed_states`` does, from one forward pass per response."""
    import torch

    states = []
    for item in batch:
        ids = torch.tensor([item.prompt_ids + item.response_ids], device=model.device)
        states.append(_hidden_states(model, ids)[0, len(item.prompt_ids) - 1 : -1])
    return torch.cat(states)


def _sums(logp: "Tensor", rank: "Tensor", p2: "Tensor") -> Row:
    """Return the sums over a response's tokens; each argument is (tokens,) float64."""
    import numpy as np

    return {
        "tokens": len(logp),
        "sum_logp": logp.sum().item(),
        "sum_rank_100": rank.clamp(max=RANK_LIMIT).sum().item(),
        "sum_p2": p2.sum().item(),
        "sum_p_true": logp.exp().sum().item(),
        "logp": list(logp.numpy().astype(np.float16)),
    }


def _chunk_statistics(logits: "Tensor", true: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return log p, rank (from 1) of the true tokens and the sum of p squared, each (positions).

    On a CPU a few rows at a time, so that they stay in its cache through all passes.
    """
    import torch

    rows = len(true) if logits.is_cuda else max(1, _CACHED // logits.shape[-1])
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


def _check_head(model: "PreTrainedModel", name: str) -> None:
    """Compare the head as computed here with the model's own on a short input."""
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
