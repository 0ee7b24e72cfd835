"""Select prompts by split or by id: their ids, their rows, or their texts (read lazily).

Results are in the table's order, or in that of the ids.
"""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import PROMPT
from persyn_kedro.foundations.tables.rows import TableRows, read_blocks

CALIBRATION, TRAIN, TEST = ("calibration",), ("train",), ("test",)
JUDGED_BY = ("reference", "metadata")  # the columns that answers are judged by
ANSWERED = ("calibration", "train")  # the teachers never answer a test prompt


def select_ids(
    prompts: pads.Dataset, splits: Collection[str], parts: Collection[str] | None = None
) -> pa.Table:
    """Return the ids of the prompts in the given splits (and parts), without their texts.

    Args:
        prompts: ``schemas.PROMPTS``.

    Returns:
        ``row``, the index in ``prompts``, ascending (int64); ``prompt_id`` and ``part``.
    """
    columns = {name: pads.field(name) for name in ("prompt_id", "part")}
    table = prompts.to_table(columns={**columns, "chosen": within(prompts, splits, parts)})
    chosen = table.filter(table["chosen"]).select(list(columns))
    return chosen.add_column(0, "row", [pa.array(np.flatnonzero(table["chosen"]))])


def select_rows(
    prompts: pads.Dataset,
    splits: Collection[str],
    parts: Collection[str] | None = None,
    columns: Sequence[str] = schemas.PROMPTS.names,
) -> list[dict[str, Any]]:
    """Return the rows of the prompts in the given splits (and parts).

    For small selections: all rows are held in memory.
    """
    blocks = read_blocks(prompts, columns, within(prompts, splits, parts))
    return [row for block in blocks for row in block.to_pylist()]


def select_texts(
    prompts: pads.Dataset, splits: Collection[str], parts: Collection[str] | None = None
) -> ChosenPrompts:
    """Return the prompts in the given splits (and parts), with texts read lazily."""
    columns = {"prompt_id": pads.field("prompt_id"), "chosen": within(prompts, splits, parts)}
    table = prompts.to_table(columns=columns)
    return _lazily(prompts, table["prompt_id"], np.flatnonzero(table["chosen"]))


def find_texts(prompts: pads.Dataset, ids: pa.Array | pa.ChunkedArray) -> ChosenPrompts:
    """Return the prompts with these ids, each once, with texts read lazily.

    Raises:
        KeyError: an id is not in ``prompts``.
    """
    all_ids = prompts.to_table(columns=["prompt_id"])["prompt_id"]
    return _lazily(prompts, all_ids, places_of(pc.unique(ids), all_ids))


def holds_system(prompts: pads.Dataset, splits: Collection[str]) -> bool:
    """Return whether a prompt in the given splits has a system message of its own."""
    for block in read_blocks(prompts, ["messages"], within(prompts, splits)):
        roles = pc.struct_field(pc.list_flatten(block["messages"]), "role")
        if pc.any(pc.equal(roles, "system")).as_py():
            return True
    return False


def role_patterns(prompts: pads.Dataset) -> dict[tuple[str, ...], str]:
    """Return each sequence of roles among the conversations, with the first prompt that has it."""
    found: dict[tuple[str, ...], str] = {}
    of_messages = pads.field("messages").is_valid()
    for block in read_blocks(prompts, ["prompt_id", "messages"], of_messages):
        roles = iter(pc.struct_field(pc.list_flatten(block["messages"]), "role").to_pylist())
        lengths = pc.list_value_length(block["messages"]).to_pylist()
        for prompt_id, length in zip(block["prompt_id"].to_pylist(), lengths, strict=True):
            found.setdefault(tuple(islice(roles, length)), prompt_id)
    return found


def find_rows(prompts: pads.Dataset, ids: pa.Array | pa.ChunkedArray) -> dict[str, dict[str, Any]]:
    """Return the prompts with these ids as rows of ``schemas.SOURCE_PROMPTS``, by prompt_id.

    For small selections: all rows are held in memory.
    """
    wanted = pads.field("prompt_id").isin(pc.unique(ids))
    blocks = read_blocks(prompts, schemas.SOURCE_PROMPTS.names, wanted)
    return {row["prompt_id"]: row for block in blocks for row in block.to_pylist()}


def places_of(ids: pa.Array | pa.ChunkedArray, among: pa.ChunkedArray) -> np.ndarray:
    """Return the (n,) int32 indices of the ids in ``among``, which has no duplicates.

    Raises:
        KeyError: an id is not in ``among``.
    """
    chunked = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array([ids])
    if chunked.equals(among):  # tables in the same order need no index
        return np.arange(len(ids), dtype=np.int32)
    places = pc.index_in(ids, value_set=among)
    if places.null_count:
        raise KeyError(ids.filter(pc.is_null(places))[0].as_py())
    return places.to_numpy()


def _lazily(prompts: pads.Dataset, ids: pa.ChunkedArray, rows: np.ndarray) -> ChosenPrompts:
    return ChosenPrompts(TableRows(prompts, PROMPT), ids.combine_chunks(), rows)


def within(
    prompts: pads.Dataset, splits: Collection[str], parts: Collection[str] | None = None
) -> pads.Expression:
    """Return the filter of splits and parts.

    Raises:
        PersynError: the prompts have no splits, which older versions kept in a separate table.
    """
    if "split" not in prompts.schema.names:
        raise PersynError("The prompts have no splits yet: run `kedro run --pipelines=prepare`.")
    found = pads.field("split").isin(list(splits))
    return found if parts is None else found & pads.field("part").isin(list(parts))
