"""Columns added later: older tables lack them, and are read with nulls there."""

import pyarrow as pa
import pyarrow.dataset as pads

ADDED = {"cached_prompt_tokens", "whole_cached_prompt_tokens", "messages", "kept"}


def lacking(found: pa.Schema, wanted: pa.Schema) -> list[pa.Field]:
    """Return the added columns that an older table lacks."""
    return [f for f in wanted if f.name in ADDED and f.name not in found.names]


def with_added(table: pads.Dataset, wanted: pa.Schema) -> pads.Dataset:
    """Return a table on disk, still unread, with the added columns that it lacks."""
    schema = table.schema
    for field in lacking(schema, wanted):
        schema = schema.append(field)
    return table if schema is table.schema else table.replace_schema(schema)
