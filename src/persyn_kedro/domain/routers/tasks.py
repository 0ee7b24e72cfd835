"""Prompts with their task: what other columns than the text say of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.foundations.prompts.conversation import Conversation, Prompt, messages_of
from persyn_kedro.foundations.tables.messages import PROMPT, prompts_of
from persyn_kedro.foundations.tables.rows import OnDemand, read_blocks

SOURCE = "source"
COLUMNS = [SOURCE, "kept"]
Tasks = tuple[tuple[str, str | None], ...]  # of a prompt: columns and their values


@dataclass(frozen=True)
class PromptOfTask(Conversation):
    """A prompt that knows its task; whatever does not ask for it reads the same messages."""

    tasks: Tasks = ()

    def __str__(self) -> str:
        """Return the text, or the transcript of a conversation."""
        return self.messages[0].content if len(self.messages) == 1 else super().__str__()


def task_of(prompt: Prompt, column: str) -> str | None:
    """Return a prompt's value of a column; None if it is not known."""
    return dict(prompt.tasks).get(column) if isinstance(prompt, PromptOfTask) else None


def with_tasks(
    prompts: Mapping[str, Prompt], table: pads.Dataset, columns: Sequence[str]
) -> dict[str, Prompt]:
    """Return prompts by prompt_id, with their tasks; a prompt that is not in the table has none.

    Args:
        table: ``schemas.SOURCE_PROMPTS``, or with more columns.
        columns: ``source``, or columns that a source keeps; without any, the prompts stay.
    """
    found: dict[str, Prompt] = dict(prompts)
    if not columns:
        return found
    wanted = pc.field("prompt_id").isin(pa.array(list(prompts), pa.string()))
    for block in read_blocks(table, ["prompt_id", *COLUMNS], wanted):
        for row in block.to_pylist():
            prompt = found[row["prompt_id"]]
            found[row["prompt_id"]] = PromptOfTask(messages_of(prompt), _tasks(row, columns))
    return found


class TaskColumns(OnDemand[Prompt]):
    """The prompts of a table with their tasks, read on demand."""

    def __init__(self, prompts: pads.Dataset, *columns: str) -> None:
        super().__init__(prompts, *PROMPT, *COLUMNS)
        self._tasks = columns

    def _values(self, rows: pa.Table) -> list[Prompt]:
        pairs = zip(prompts_of(rows), rows.select(COLUMNS).to_pylist(), strict=True)
        return [PromptOfTask(messages_of(p), _tasks(row, self._tasks)) for p, row in pairs]

    def __getstate__(self) -> tuple[Any, ...]:
        return self._dataset, *self._tasks

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        TaskColumns.__init__(self, *state)


def _tasks(row: Mapping[str, Any], columns: Sequence[str]) -> Tasks:
    kept = json.loads(row["kept"] or "{}")
    values = [row[SOURCE] if column == SOURCE else kept.get(column) for column in columns]
    return tuple(
        (column, value if value is None or isinstance(value, str) else json.dumps(value))
        for column, value in zip(columns, values, strict=True)
    )
