"""A note in tables of answers and rewards: whom the design asked, and which of it at random.

An answer asked at random has a known propensity, and the same for all of a table: means over these
answers are free of choice bias (inverse propensity weighting, METHOD.md, section 1, "Designs").
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.designs.balanced import balanced

_NOTE = b"design"


@dataclass(frozen=True)
class Asked:
    """Whom an incomplete design asked.

    Attributes:
        teachers: the pool, in the settings' order.
        at_random: teachers of each prompt that were asked at random, by ``balanced``.
        seed: of ``balanced``.
        adaptive: what an adaptive design did then, for the report; empty for a balanced one.
    """

    teachers: Sequence[str]
    at_random: int
    seed: int
    adaptive: Mapping[str, Any] = field(default_factory=dict)

    def first(self, prompt_ids: Sequence[str]) -> np.ndarray:
        """Return (n, K) bool: what was asked at random of all the calibration prompts."""
        return balanced(prompt_ids, self.teachers, self.at_random, self.seed)


def with_asked(table: pa.Table, asked: Asked | None) -> pa.Table:
    """Return the table with the note; None: a full design, which has none."""
    if asked is None:
        return table
    note = {_NOTE: json.dumps(asdict(asked))}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **note})


def asked_of(schema: pa.Schema) -> Asked | None:
    """Return the note of ``with_asked``, or None."""
    note = (schema.metadata or {}).get(_NOTE)
    return None if note is None else Asked(**json.loads(note))


def of_random_ones(
    table: pa.Table, asked: Asked | None, prompt_ids: Sequence[str] | None = None
) -> pa.Table:
    """Return the rows of answers that were asked at random: all, unless the design is adaptive.

    Args:
        table: with ``prompt_id`` and ``teacher``.
        prompt_ids: all the calibration prompts, on which it depends who was asked; None: those of
            the table.
    """
    if asked is None or not asked.adaptive:
        return table
    ids = sorted(set(table["prompt_id"].to_pylist() if prompt_ids is None else prompt_ids))
    first = asked.first(ids)
    rows = pc.index_in(table["prompt_id"], value_set=pa.array(ids)).to_numpy()
    names = pa.array(asked.teachers, pa.string())
    columns = pc.fill_null(pc.index_in(table["teacher"], value_set=names), -1).to_numpy()
    return table.filter(pa.array((columns >= 0) & first[rows, columns]))


def unanswered(
    pairs: pa.Table, prompt_ids: pa.Array | pa.ChunkedArray, teachers: Sequence[str]
) -> np.ndarray:
    """Return (n, K) bool: which teachers were not asked which of these prompts.

    Args:
        pairs: with ``prompt_id`` and ``teacher``, a row or more for each pair that was asked.
    """
    found = np.ones((len(prompt_ids), len(teachers)), bool)
    rows = pc.index_in(pairs["prompt_id"], value_set=prompt_ids)
    columns = pc.index_in(pairs["teacher"], value_set=pa.array(teachers, pa.string()))
    known = pc.and_(pc.is_valid(rows), pc.is_valid(columns))
    found[tuple(each.filter(known).to_numpy() for each in (rows, columns))] = False
    return found
