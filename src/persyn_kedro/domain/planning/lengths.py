"""How many tokens an answer will take: by the answers that are known, else at its worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.teachers.import_answers import IMPORTED
from persyn_kedro.domain.teachers.recipe import Recipe

SAMPLE = 200  # prompts whose tokens are counted
TEMPLATE = 16  # tokens that a chat template adds, about
BYTES_A_TOKEN = 4  # about, where no tokenizer is at hand


@dataclass(frozen=True)
class Lengths:
    """Tokens of one call.

    Attributes:
        prompt: its prompt, with system message and template.
        completion: its expected answer.
        most: the longest answer that the settings allow.
        basis: what ``completion`` goes by, for the reader.
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
        return Lengths(tokens, most, most, "max_new_tokens: no answer is known yet")
    known = (pc.mean(good[f"{part}_tokens"]).as_py() for part in ("prompt", "completion"))
    prompt, completion = known
    basis = f"the mean of {len(good)} answers in the store"
    return Lengths(prompt, min(completion, most), most, basis)


def prompt_tokens(recipe: Recipe, sample: Sequence[str]) -> float:
    """Return the mean tokens of a prompt: counted where the tokenizer is at hand, else by bytes."""
    if not sample:
        return 0.0
    path = recipe.model.directory / "tokenizer.json"
    texts = [*sample, recipe.system or ""]
    if path.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        counts = [len(e) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]
    else:
        counts = [round(len(text.encode()) / BYTES_A_TOKEN) for text in texts]
    return mean(counts[:-1]) + counts[-1] + TEMPLATE
