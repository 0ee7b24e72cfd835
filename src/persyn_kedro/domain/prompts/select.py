"""Prompts of a split, in the table's order."""

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def select_prompts(
    prompts: pa.Table, splits: pa.Table, split: Collection[str], part: Collection[str] | None = None
) -> list[dict[str, str]]:
    """Return the rows of ``prompts`` in the given splits (and parts), with split and part added."""
    chosen = select_rows(prompts["prompt_id"], splits, split, part)
    rows = prompts.take(chosen["row"])
    for name in ("split", "part"):
        rows = rows.append_column(name, chosen[name])
    return rows.to_pylist()


def select_rows(
    prompt_ids: pa.Array | pa.ChunkedArray,
    splits: pa.Table,
    split: Collection[str],
    part: Collection[str] | None = None,
) -> pa.Table:
    """Return which of the prompts are in the given splits (and parts).

    Returns:
        ``row``, the place in ``prompt_ids``, rising (int64); ``prompt_id``, ``split`` and ``part``.
    """
    places = splits.take(rows_of(prompt_ids, splits["prompt_id"]))
    mask = pc.is_in(places["split"], value_set=pa.array(split, pa.string()))
    if part is not None:
        mask = pc.and_(mask, pc.is_in(places["part"], value_set=pa.array(part, pa.string())))
    rows = pa.array(np.flatnonzero(mask))
    return places.filter(mask).select(["prompt_id", "split", "part"]).add_column(0, "row", [rows])


def rows_of(ids: pa.Array | pa.ChunkedArray, among: pa.ChunkedArray) -> np.ndarray:
    """Return where each of the ids is among others, all different, (n,) int32.

    Raises:
        KeyError: one of them is not there.
    """
    chunked = ids if isinstance(ids, pa.ChunkedArray) else pa.chunked_array([ids])
    if chunked.equals(among):  # tables of one order: no index of all is needed
        return np.arange(len(ids), dtype=np.int32)
    rows = pc.index_in(ids, value_set=among)
    if rows.null_count:
        raise KeyError(ids.filter(pc.is_null(rows))[0].as_py())
    return rows.to_numpy()
