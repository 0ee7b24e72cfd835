"""The likelihood of each sentence of a response, given the prompt and a few sentences before.

Local naturalness (LALP; METHOD.md, "Signals of learnability").
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.learnability.statistics import Request, Row, load_scorer, scorer_id
from persyn_kedro.domain.learnability.token_scores import Passage, batches, token_scores
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.settings.models import Think

if TYPE_CHECKING:
    from persyn_kedro.foundations.models.resolve import ResolvedModel

VERSION = 1  # raise it when the same inputs give another result

BEFORE = 4  # sentences that a sentence is conditioned on
_ENDS = re.compile(r"[.!?…]['\")\]”’]*\s+|\n\s*|[。！？]\s*")


def local_scorer_id(student: "ResolvedModel", system: str | None, think: Think) -> str:
    """Return the identity of everything that determines a response's local statistics."""
    identity = {"scorer": scorer_id(student, system, think), "local": VERSION}
    return settings_id(identity)


def local_scorer(
    student: "ResolvedModel",
    system: str | None,
    dtype: str | None = None,
    pack_tokens: int = 2048,
    vocabulary_chunk: int = 256,
) -> Callable[[Sequence[Request]], Iterator[Row]]:
    """Load the student; return a function from requests to their local statistics.

    It yields ``response_key``, ``tokens`` and ``local_logp`` for each request, in order.
    ``local_logp`` is the mean over the response's sentences of the mean token log-likelihood
    (nats), given the prompt and the ``BEFORE`` sentences before it; null if the response is empty
    or a sentence, with what it is given, is longer than the student's context.

    Raises:
        PersynError: as ``load_scorer``, or the tokenizer does not say where tokens are in a text.
    """
    tokenizer, model, packs = load_scorer(student, dtype)
    if not tokenizer.is_fast:
        raise PersynError(
            f"Model {student.name} has a tokenizer that does not say where a token is in the text, "
            "which local_likelihood needs: choose another label.learnability."
        )

    def score(requests: Sequence[Request]) -> Iterator[Row]:
        found: list[list[float]] = [[] for _ in requests]
        lengths, unscored = [0] * len(requests), set()

        def passages() -> Iterator[tuple[int, Passage]]:
            for place, (_, prompt, text) in enumerate(requests):
                rendered = render(tokenizer, system, prompt, text)
                lengths[place] = len(rendered.response_ids)
                for passage in windows(
                    rendered.prompt_ids, rendered.response_ids, _sentences(tokenizer, text)
                ):
                    if passage.fits(model):
                        yield place, passage
                    else:
                        unscored.add(place)

        for batch in batches(passages(), pack_tokens if packs else 1):
            scores = token_scores(model, [p for _, p in batch], vocabulary_chunk, packs)
            for (place, _), (logp, _, _) in zip(batch, scores, strict=True):
                found[place].append(logp.mean().item())
        for place, (key, _, _) in enumerate(requests):
            own = found[place] if place not in unscored else []
            mean = sum(own) / len(own) if own else None
            yield {"response_key": key, "tokens": lengths[place], "local_logp": mean}

    return score


def windows(prompt_ids: list[int], ids: list[int], sentences: Iterable[int]) -> Iterator[Passage]:
    """Yield a passage for each sentence: it is scored, the ``BEFORE`` sentences before it are not.

    Args:
        sentences: the number of the sentence that each of the response's ``ids`` belongs to.
    """
    numbers = list(sentences)
    starts = [i for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1]]
    for place, (start, stop) in enumerate(pairwise([*starts, len(ids)])):
        first = starts[max(0, place - BEFORE)]
        yield Passage(prompt_ids, ids[first:stop], start - first)


def sentence_ends(text: str) -> list[int]:
    """Return where each sentence ends, with the space after it; the last is the end of the text.

    A sentence ends with a full stop, question or exclamation mark before a space, or with a line.
    """
    begin = len(text) - len(text.lstrip())
    ends = [match.end() for match in _ENDS.finditer(text)]
    return [end for end in ends if begin < end < len(text)] + [len(text)]


def _sentences(tokenizer: Any, text: str) -> list[int]:
    """Return the number of the sentence that holds the last character of each token of a text."""
    encoded = tokenizer(
        text,
        add_special_tokens=False,
        split_special_tokens=True,
        return_offsets_mapping=True,
    )
    ends = sentence_ends(text)
    return [bisect_left(ends, stop) for _, stop in encoded["offset_mapping"]]
