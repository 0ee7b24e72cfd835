"""How many tokens a call will take: by the answers that are known, else at its worst.

No tokenizer counts, whether or not one is on this disk: what the cache holds is no input of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.teachers.import_answers import IMPORTED
from persyn_kedro.domain.teachers.recipe import Recipe

SAMPLE = 200  # prompts whose tokens are counted
TEMPLATE = 16  # tokens that a chat template adds, about
BYTES_A_TOKEN = 4  # about, of English
UNKNOWN = f"{BYTES_A_TOKEN} bytes a token, and max_new_tokens: no answer is known yet"


@dataclass(frozen=True)
class Lengths:
    """Tokens of one call.

    Attributes:
        prompt: its prompt, with system message and template.
        completion: its expected answer.
        most: the longest answer that the settings allow.
        basis: what ``prompt`` and ``completion`` go by, for the reader.
    """

    prompt: float
    completion: float
    most: int
    basis: str


def lengths_of(recipe: Recipe, answered: pa.Table, sample: Sequence[str]) -> Lengths:
    """Return the tokens of a call.

    Args:
        answered: what the store has of this recipe, as STORED_OUTCOMES.
        sample: some of the prompts.
    """
    good = answered.filter(pc.is_null(answered["error"]))
    good = good.filter(pc.not_equal(good["engine"], IMPORTED))  # what these took is not known
    most = recipe.sampling.max_new_tokens
    if not len(good):
        tokens = prompt_tokens(recipe, sample)
        return Lengths(tokens, most, most, UNKNOWN)
    known = (pc.mean(good[f"{part}_tokens"]).as_py() for part in ("prompt", "completion"))
    prompt, completion = known
    basis = f"the mean of {len(good)} answers in the store"
    return Lengths(prompt, min(completion, most), most, basis)


def prompt_tokens(recipe: Recipe, sample: Sequence[str]) -> float:
    """Return about how many tokens a prompt has in the mean, by the bytes of UTF-8."""
    if not sample:
        return 0.0
    tokens = mean(_tokens(text) for text in sample)
    return tokens + _tokens(recipe.system or "") + TEMPLATE


def _tokens(text: str) -> int:
    return round(len(text.encode()) / BYTES_A_TOKEN)
