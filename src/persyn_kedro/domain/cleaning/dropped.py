"""What ``schemas.DROPPED_PROMPTS`` says."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cleaning.reasons import DUPLICATE, REASONS


def dropped_counts(dropped: pads.Dataset | pa.Table) -> dict[str, int]:
    """Return how many rows of the source were dropped, by reason, without reasons of none."""
    columns = ["reason", "copies"]
    table = dropped.to_table(columns=columns) if isinstance(dropped, pads.Dataset) else dropped
    counts: Counter[str] = Counter()
    for reason, copies in zip(*(table[name].to_pylist() for name in columns), strict=True):
        counts[reason] += copies
    return {name: counts[name] for name in REASONS if counts[name]}


def dropped_ids(dropped: pads.Dataset) -> pa.ChunkedArray:
    """Return the ids of prompts in ``source_prompts`` that are dropped."""
    table = dropped.to_table(columns=["prompt_id", "reason"])
    return table["prompt_id"].filter(pc.not_equal(table["reason"], DUPLICATE))


def why_dropped(dropped: pads.Dataset, prompt_id: str) -> str | None:
    """Return why the only dropped prompt whose id begins with ``prompt_id`` was, None without."""
    begun = pc.starts_with(pc.field("prompt_id"), prompt_id)
    rows = dropped.to_table(filter=begun & (pc.field("reason") != DUPLICATE)).to_pylist()
    if len(rows) != 1:
        return None
    (row,) = rows
    shown = f" ({row['match_excerpt']!r})" if row["match_excerpt"] else ""
    return f"Prompt {row['prompt_id']} was dropped, {row['reason']}: {row['match']}{shown}."
