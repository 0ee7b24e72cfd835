"""How many tokens a call will take: from known answers, or else the maximum.

No tokenizer counts them, even if one is on this disk: the cache is not an input of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.teachers.import_answers import uncounted
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.foundations.prompts.conversation import Prompt, with_system

SAMPLE = 200  # prompts whose tokens are counted
TEMPLATE = 16  # approximate tokens that a chat template adds
TURN = 4  # likewise, to each further message
BYTES_A_TOKEN = 4  # approximate, for English
UNKNOWN = f"{BYTES_A_TOKEN} bytes per token, and max_new_tokens: no answer is known yet"


@dataclass(frozen=True)
class Lengths:
    """Tokens of one call.

    Attributes:
        prompt: its prompt, with system message and template.
        completion: its expected answer.
        most: the longest answer that the settings allow.
        basis: what ``prompt`` and ``completion`` are based on, for the reader.
        cached: of its prompt, expected to be read from the server's cache.
    """

    prompt: float
    completion: float
    most: int
    basis: str
    cached: float = 0.0


def lengths_of(recipe: Recipe, answered: pa.Table, sample: Sequence[Prompt]) -> Lengths:
    """Return the tokens of a call.

    Args:
        answered: what the store has for this recipe, as STORED_OUTCOMES.
        sample: some of the prompts.
    """
    good = answered.filter(pc.is_null(answered["error"]))
    good = good.filter(pc.invert(uncounted(good)))
    most = recipe.sampling.max_new_tokens
    if not len(good):
        tokens = prompt_tokens(recipe, sample)
        return Lengths(tokens, most, most, UNKNOWN)
    kinds = ("prompt", "completion", "cached_prompt")
    prompt, completion, cached = (
        pc.mean(pc.fill_null(good[f"{kind}_tokens"], 0)).as_py() for kind in kinds
    )
    basis = f"the mean of {len(good)} answers in the store"
    return Lengths(prompt, min(completion, most), most, basis, cached)


def prompt_tokens(recipe: Recipe, sample: Sequence[Prompt]) -> float:
    """Return the approximate mean number of tokens per prompt, from its messages' UTF-8 bytes."""
    if not sample:
        return 0.0
    chats = [with_system(prompt, recipe.system, recipe.row_system) for prompt in sample]
    tokens = mean(sum(_tokens(message.content) for message in chat) for chat in chats)
    turns = mean(sum(message.role != "system" for message in chat) for chat in chats)
    return tokens + TEMPLATE + (turns - 1) * TURN


def _tokens(text: str) -> int:
    return round(len(text.encode()) / BYTES_A_TOKEN)
