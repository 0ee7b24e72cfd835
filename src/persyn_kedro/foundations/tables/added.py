"""Columns added later: older tables lack them, and are read with nulls there."""

import pyarrow as pa
import pyarrow.dataset as pads

ADDED = {
    "cached_prompt_tokens", "whole_cached_prompt_tokens", "messages", "kept",
    "sample_index", "valid_samples", "reward_sd", "local_logp", "standard_errors", "repeat",
}  # fmt: skip


def lacking(found: pa.Schema, wanted: pa.Schema) -> list[pa.Field]:
    """Return the added columns that an older table lacks."""
    return [f for f in wanted if f.name in ADDED and f.name not in found.names]


def with_added(table: pads.Dataset, wanted: pa.Schema) -> pads.Dataset:
    """Return a table on disk, still unread, with the added columns that it lacks."""
    found = table.schema
    if not (new := lacking(found, wanted)):
        return table
    own = [field for field in found if field.name not in wanted.names]
    there = {field.name: field for field in [*found, *new]}
    return table.replace_schema(
        pa.schema([*(there[name] for name in wanted.names if name in there), *own], found.metadata)
    )
