"""Prompts of a split, in the table's order."""

from collections.abc import Collection

import pyarrow as pa


def select_prompts(
    prompts: pa.Table, splits: pa.Table, split: Collection[str], part: Collection[str] | None = None
) -> list[dict[str, str]]:
    """Return the rows of ``prompts`` in the given splits (and parts), with split and part added."""
    places = {row["prompt_id"]: row for row in splits.to_pylist()}
    rows = []
    for row in prompts.to_pylist():
        place = places[row["prompt_id"]]
        if place["split"] in split and (part is None or place["part"] in part):
            rows.append({**row, "split": place["split"], "part": place["part"]})
    return rows
