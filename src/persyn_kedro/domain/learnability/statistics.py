"""What the student thinks of each response's tokens, from one forward pass a response."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.parameters import Think
from persyn_kedro.foundations.rendering import Rendered, render

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from persyn_kedro.foundations.weights import ResolvedModel

Row = dict[str, Any]
Request = tuple[str, str, str]

RANK_LIMIT = 100


def scorer_id(student: "ResolvedModel", system: str | None, think: Think) -> str:
    """Return the identity of all that fixes a response's statistics.

    These are the student's weights, its dtype and template, its system prompt, and the
    response's ``rendering.reading``. Batch and chunk sizes are left out: they move results by
    rounding only.
    """
    return settings_id(
        {
            "weights_id": student.weights_id,
            "dtype": student.settings.dtype,
            "chat_template": student.chat_template,
            "system": system,
            "think": think,
        }
    )


def token_statistics(
    requests: Iterable[Request],
    student: "ResolvedModel",
    system: str | None,
    dtype: str | None = None,
    batch_size: int = 1,
    vocabulary_chunk: int = 256,
) -> Iterator[Row]:
    """Yield one row of STORED_STATISTICS for each (response_key, prompt, visible text), in order.

    Every token of the response is scored, from the first, the end-of-turn token is not (METHOD.md,
    section 1; sums in nats, float64). Statistics are null where the text is empty or,
    with the prompt, longer than the student's context.

    Logits of ``vocabulary_chunk`` positions exist at once, computed in the model's dtype and
    normalised in float32; never those of a whole response.

    Raises:
        PersynError: the student's head computes more than this function knows of.
    """
    from persyn_kedro.foundations.loading import load_causal_lm, load_tokenizer

    tokenizer = load_tokenizer(student)
    model = load_causal_lm(student, dtype=dtype or student.settings.dtype)
    _check_head(model, student.name)
    iterator = iter(requests)
    while batch := list(islice(iterator, batch_size)):
        rendered = [render(tokenizer, system, prompt, text) for _, prompt, text in batch]
        scorable = [r for r in rendered if _is_scorable(r, model)]
        scored = iter(_score(model, scorable, vocabulary_chunk))
        for (key, _, _), item in zip(batch, rendered, strict=True):
            statistics = next(scored) if _is_scorable(item, model) else _nothing(item)
            yield {"response_key": key, **statistics}


def _is_scorable(rendered: Rendered, model: "PreTrainedModel") -> bool:
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    length = len(rendered.prompt_ids) + len(rendered.response_ids)
    return bool(rendered.response_ids) and (context is None or length <= context)


def _nothing(rendered: Rendered) -> Row:
    names = ("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp")
    return {"tokens": len(rendered.response_ids), **dict.fromkeys(names)}


def _score(model: "PreTrainedModel", batch: list[Rendered], chunk: int) -> list[Row]:
    """Return the statistics of each item, from one pass over the right-padded batch."""
    import torch

    if not batch:
        return []
    ids = [torch.tensor(r.prompt_ids + r.response_ids) for r in batch]
    input_ids = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    lengths = torch.tensor([len(i) for i in ids])
    mask = (torch.arange(input_ids.shape[1]) < lengths[:, None]).long()
    with torch.inference_mode():
        hidden = _hidden_states(model, input_ids.to(model.device), mask.to(model.device))
        return [
            _response_statistics(
                model,
                hidden[row, len(r.prompt_ids) - 1 : len(r.prompt_ids) + len(r.response_ids) - 1],
                torch.tensor(r.response_ids, device=hidden.device),
                chunk,
            )
            for row, r in enumerate(batch)
        ]


def _response_statistics(
    model: "PreTrainedModel", hidden: "Tensor", targets: "Tensor", chunk: int
) -> Row:
    """Return the sums over a response; ``hidden`` (tokens, width) predicts ``targets`` (tokens)."""
    import numpy as np
    import torch

    chunks = [
        _chunk_statistics(_logits(model, states), true)
        for states, true in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    logp, rank, p2 = (torch.cat(parts).double().cpu() for parts in zip(*chunks, strict=True))
    return {
        "tokens": len(targets),
        "sum_logp": logp.sum().item(),
        "sum_rank_100": rank.clamp(max=RANK_LIMIT).sum().item(),
        "sum_p2": p2.sum().item(),
        "sum_p_true": logp.exp().sum().item(),
        "logp": list(logp.numpy().astype(np.float16)),
    }


def _chunk_statistics(logits: "Tensor", true: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """Return log p, rank (from 1) of the true tokens and the sum of p squared, each (positions)."""
    logp = logits.float().log_softmax(dim=-1)
    true_logp = logp.gather(-1, true[:, None])
    rank = 1 + (logp > true_logp).sum(dim=-1)
    return true_logp[:, 0], rank, logp.mul_(2).exp_().sum(dim=-1)


def _hidden_states(model: "PreTrainedModel", input_ids: "Tensor", mask: "Tensor") -> "Tensor":
    """Return the last hidden states (batch, length, width), without the language-model head."""
    output = model.base_model(input_ids=input_ids, attention_mask=mask, use_cache=False)
    return output.last_hidden_state


def _logits(model: "PreTrainedModel", hidden: "Tensor") -> "Tensor":
    """Return the logits (..., vocabulary) in the model's dtype, soft-capped where it caps them."""
    logits = model.get_output_embeddings()(hidden)
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else (logits / cap).tanh() * cap


def _check_head(model: "PreTrainedModel", name: str) -> None:
    """Compare the head as computed here with the model's own on a short input."""
    import torch

    input_ids = torch.arange(8, device=model.device)[None]
    mask = torch.ones_like(input_ids)
    with torch.inference_mode():
        wanted = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits.float()
        found = _logits(model, _hidden_states(model, input_ids, mask)).float()
    tolerance = 1e-4 if model.dtype == torch.float32 else 2e-2
    if (wanted - found).abs().max() > tolerance * wanted.abs().max():
        raise PersynError(
            f"Model {name} changes its logits in a way that scoring does not support "
            f"(architecture {type(model).__name__})."
        )
