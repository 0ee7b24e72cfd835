"""The student's statistics of each response's tokens, from one packed forward pass."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.learnability.token_scores import Passage, batches, check_head, token_scores
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.float32_products import products_in_float32
from persyn_kedro.foundations.models.norms_by_rows import norms_by_rows
from persyn_kedro.foundations.models.packing import use_packing
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.models import Think

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result

Row = dict[str, Any]
Request = tuple[str, Prompt, str]

RANK_LIMIT = 100


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
    tokenizer, model, packs = load_scorer(student, dtype)

    def passage(prompt: Prompt, text: str) -> Passage:
        rendered = render(tokenizer, system, prompt, text)
        return Passage(rendered.prompt_ids, rendered.response_ids)

    def score(requests: Iterable[Request]) -> Iterator[Row]:
        items = ((key, passage(prompt, text)) for key, prompt, text in requests)
        for batch in batches(items, pack_tokens if packs else 1):
            scorable = [item for _, item in batch if item.fits(model)]
            scored = iter(token_scores(model, scorable, vocabulary_chunk, packs))
            for key, item in batch:
                statistics = _sums(*next(scored)) if item.fits(model) else _nothing(item)
                yield {"response_key": key, **statistics}

    return score


def load_scorer(
    student: "ResolvedModel", dtype: str | None = None
) -> tuple["PreTrainedTokenizerBase", "PreTrainedModel", bool]:
    """Load the student's tokenizer and model; the third says whether it takes packed rows.

    Raises:
        PersynError: the student's head computes something that scoring does not support.
    """
    from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
    from persyn_kedro.foundations.models.resolve import here

    student = here(student)
    tokenizer = load_tokenizer(student)
    model = load_causal_lm(student, dtype=dtype or student.settings.dtype)
    check_head(model, student.name)
    progress.loaded()
    products_in_float32(model)
    packs = use_packing(model)
    norms_by_rows(model)
    return tokenizer, model, packs


def _nothing(passage: Passage) -> Row:
    names = ("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp")
    return {"tokens": len(passage.ids), **dict.fromkeys(names)}


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
