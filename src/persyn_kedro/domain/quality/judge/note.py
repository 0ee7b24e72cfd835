"""What the report says of a judge, as a note in the tables of quality and rewards."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.foundations.tables import schemas

_NOTE = b"judged"


@dataclass(frozen=True)
class Judged:
    """How a judge's verdicts came about.

    Attributes:
        model: its name in the settings.
        rubric: likewise.
        mode: score, pairwise or listwise.
        answers: that were judged.
        unknown: of them, those without a quality.
        counts: replies, and those that failed or were unreadable; calls that they took, those of
            the store included, their tokens, and what they cost at the prices of that time; for the
            modes that compare, what they count of positions (``modes``).
        length: the mean over ``prompts`` of the rank correlation of quality and length (characters)
            among a prompt's answers; None where neither varies within a prompt.
        prompts: that it is the mean of.
    """

    model: str
    rubric: str
    mode: str
    answers: int
    unknown: int
    counts: Mapping[str, float]
    length: float | None
    prompts: int


def with_judged(table: pa.Table, notes: Sequence[Judged]) -> pa.Table:
    """Return the table with these notes; it is unchanged if there are none."""
    if not notes:
        return table
    told = {_NOTE: json.dumps([asdict(note) for note in notes])}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **told})


def judged_of(schema: pa.Schema) -> list[Judged]:
    """Return the notes of ``with_judged``; none if no judge was asked."""
    return [Judged(**note) for note in json.loads((schema.metadata or {}).get(_NOTE, b"[]"))]


def with_notes_of(table: pa.Table, parts: Sequence[pa.Table]) -> pa.Table:
    """Return the table with what its parts note: all judges, and how many replies are missing."""
    notes = [note for part in parts for note in judged_of(part.schema)]
    unsettled = sum(schemas.unsettled_rows(part.schema) for part in parts)
    return with_judged(schemas.with_unsettled(table, unsettled), notes)


def length_correlation(
    rows: Sequence[tuple[str, float | None, int]],
) -> tuple[float | None, int]:
    """Return the mean over prompts of Spearman's correlation, and the number of these prompts.

    Args:
        rows: of each answer its prompt, quality and length.
    """
    from scipy.stats import spearmanr

    by_prompt: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for prompt_id, quality, length in rows:
        if quality is not None:
            by_prompt[prompt_id].append((quality, length))
    found: list[Any] = []
    for pairs in by_prompt.values():
        columns = [*zip(*pairs, strict=True)]
        if all(len(set(column)) > 1 for column in columns):
            found.append(spearmanr(*columns).statistic)
    return (float(np.mean(found)) if found else None), len(found)
