"""Tables on disk, a block of rows at a time."""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.messages import PROMPT, prompts_of

BLOCK = 16_384  # rows; also of the row groups that this project writes
FEW = 1024

Value = TypeVar("Value")


class TableRows:
    """Columns of a table on disk whose rows are read by number, a row group at a time.

    The row groups that one call used are kept for the next: rows read in order, or from several
    places each in order, are read only once, with few of them in memory.
    """

    def __init__(self, dataset: pads.Dataset, columns: Sequence[str]) -> None:
        self._schema = pa.schema([dataset.schema.field(name) for name in columns])
        self._pieces = list(_row_groups(dataset))
        self._starts = np.cumsum([0, *(_count(piece) for piece in self._pieces)])
        self._held: dict[int, pa.Table] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def apart(self) -> "TableRows":
        """Return an independent reader: for another thread, or rows in another order."""
        other = copy.copy(self)
        other._held = {}
        return other

    def take(self, rows: np.ndarray) -> pa.Table:
        """Return the rows with these numbers, (b,) int, in their order."""
        pieces = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(pieces, kind="stable")
        used, begins = np.unique(pieces[order], return_index=True)
        shares = np.split(order, begins[1:]) if len(used) else []
        held: dict[int, pa.Table] = {}
        before = self._held  # another thread may replace it
        parts = [self._schema.empty_table()]
        for piece, places in zip(used.tolist(), shares, strict=True):
            held[piece] = before[piece] if piece in before else self._read(piece)
            parts.append(held[piece].take(rows[places] - self._starts[piece]))
        self._held = held
        table = pa.concat_tables(parts).combine_chunks()
        return table if len(used) < 2 else table.take(np.argsort(order, kind="stable"))

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Table]]:
        """Yield the next ``FEW`` of the numbers, and their rows.

        Few, since the row groups of all of them are held: one each for scattered rows.
        """
        for start in range(0, len(rows), FEW):
            yield rows[start : start + FEW], self.take(rows[start : start + FEW])

    def _read(self, piece: int) -> pa.Table:
        return self._pieces[piece].to_table(schema=self._schema).combine_chunks()


class OnDemand(Sequence[Value], Generic[Value]):
    """A value for each row of a table on disk, as a sequence that is read on demand.

    It can be passed to another process.
    """

    def __init__(self, dataset: pads.Dataset, *columns: str) -> None:
        self._dataset, self._columns = dataset, columns
        self._rows: TableRows | None = None

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> list[Value]: ...

    def __getitem__(self, place: int | slice) -> Value | list[Value]:
        if isinstance(place, slice):
            rows = np.arange(*place.indices(len(self)))
            return self._values(self._table.take(rows))
        return self[range(len(self))[place] : range(len(self))[place] + 1][0]

    @abstractmethod
    def _values(self, rows: pa.Table) -> list[Value]:
        """Return the values of these rows."""

    @property
    def _table(self) -> TableRows:
        if self._rows is None:
            self._rows = TableRows(self._dataset, self._columns)
        return self._rows

    def __getstate__(self) -> tuple[Any, ...]:
        return self._dataset, *self._columns

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        OnDemand.__init__(self, *state)


class TextColumn(OnDemand[str]):
    """A text column."""

    def _values(self, rows: pa.Table) -> list[str]:
        return rows[self._columns[0]].to_pylist()


class PromptColumns(OnDemand[Prompt]):
    """The prompts of a table."""

    def __init__(self, prompts: pads.Dataset) -> None:
        super().__init__(prompts, *PROMPT)

    def _values(self, rows: pa.Table) -> list[Prompt]:
        return prompts_of(rows)


def read_blocks(
    dataset: pads.Dataset, columns: Sequence[str], rows: pads.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield a table's batches in order; at most a row group is read ahead of who takes them.

    Args:
        rows: a filter; None: all rows.
    """
    # A scan of the whole file goes on while its reader is busy, whatever its readahead is set to.
    for piece in _row_groups(dataset):
        for batch in piece.to_batches(
            schema=dataset.schema, columns=list(columns), filter=rows, batch_size=BLOCK
        ):
            yield batch
            del batch
        give_back()


def texts_alone(prompts: pads.Dataset) -> pads.Dataset:
    """Return a table of prompts with only their ids, texts and messages."""
    columns = [prompts.schema.field(name) for name in ("prompt_id", *PROMPT)]
    return prompts.replace_schema(pa.schema(columns))


def _row_groups(dataset: pads.Dataset) -> Iterator[pads.Fragment]:
    for fragment in dataset.get_fragments():
        if isinstance(fragment, pads.ParquetFileFragment):
            yield from fragment.split_by_row_group()
        else:
            yield fragment


def _count(piece: pads.Fragment) -> int:
    if isinstance(piece, pads.ParquetFileFragment):
        return sum(group.num_rows for group in piece.row_groups)
    return piece.count_rows()
