"""Selected prompts of a table on disk, in any order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.tables.messages import prompts_of
from persyn_kedro.foundations.tables.rows import TableRows


class ChosenPrompts(Sequence[Any]):
    """A sequence of (prompt_id, prompt) that reads the texts lazily.

    Attributes:
        rows: (n,) int64, the prompts' row indices in the table.
        samples: (n,) int16, which of a teacher's answers to its prompt each item stands for.
    """

    def __init__(
        self, table: TableRows, ids: pa.Array, rows: np.ndarray, samples: np.ndarray | None = None
    ) -> None:
        """``table`` has the columns ``PROMPT``; ``ids`` are the prompt_ids of all its rows.

        ``samples``: by default the first answer, 0, to each.
        """
        self._table, self._ids, self.rows = table, ids, rows
        self.samples = np.zeros(len(rows), np.int16) if samples is None else samples

    @property
    def ids(self) -> pa.Array:
        """The prompt_ids."""
        return self._ids.take(pa.array(self.rows))

    def at(self, places: np.ndarray) -> "ChosenPrompts":
        """Return the items at these indices, in the order of the indices."""
        return ChosenPrompts(self._table, self._ids, self.rows[places], self.samples[places])

    def sampled(self, samples: np.ndarray) -> "ChosenPrompts":
        """Return the prompts, each once for every answer.

        Args:
            samples: (n, S) int16, which answers of each prompt.
        """
        rows = np.repeat(self.rows, samples.shape[1])
        return ChosenPrompts(self._table, self._ids, rows, samples.ravel())

    def several(self, count: int) -> "ChosenPrompts":
        """Return the prompts, each once for every one of its first ``count`` answers."""
        first = np.arange(count, dtype=np.int16)
        return self.sampled(np.tile(first, (len(self), 1)))

    def with_others(self, others: "Iterable[ChosenPrompts]") -> "ChosenPrompts":
        """Return these items and those of ``others``, from the same table, each once, in order."""
        all_of_them = [self, *others]
        rows = np.concatenate([each.rows for each in all_of_them])
        samples = np.concatenate([each.samples for each in all_of_them])
        _, first = np.unique(rows.astype(np.int64) * 2**16 + samples, return_index=True)
        first.sort()
        return ChosenPrompts(self._table, self._ids, rows[first], samples[first])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[str, Prompt]]:
        for rows, block in self._table.apart().blocks(self.rows):
            ids = self._ids.take(pa.array(rows)).to_pylist()
            yield from zip(ids, prompts_of(block), strict=True)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self.at(np.arange(len(self))[place]))
        row = self.rows[[place]]
        return self._ids[int(row[0])].as_py(), prompts_of(self._table.take(row))[0]


def prompt_ids(pairs: Sequence[tuple[str, Prompt]]) -> pa.Array:
    """Return the prompt_ids of (prompt_id, prompt) pairs, without reading the texts."""
    if isinstance(pairs, ChosenPrompts):
        return pairs.ids
    return pa.array([prompt_id for prompt_id, _ in pairs], pa.string())


def sample_indices(pairs: Sequence[tuple[str, Prompt]]) -> np.ndarray:
    """Return (n,) int16, which of a teacher's answers each pair stands for: 0 in a plain list."""
    return pairs.samples if isinstance(pairs, ChosenPrompts) else np.zeros(len(pairs), np.int16)


def pick(pairs: Sequence[tuple[str, Prompt]], places: np.ndarray) -> Iterable[tuple[str, Prompt]]:
    """Return the pairs at the (m,) indices ``places``."""
    if isinstance(pairs, ChosenPrompts):
        return pairs.at(places)
    return [pairs[place] for place in places.tolist()]
