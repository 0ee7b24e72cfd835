"""What Kedro-Viz shows of a dataset."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kedro_datasets._typing import TablePreview

NOT_MADE = "not made yet: run the step that makes it"
_CUT = 300  # characters per cell


def preview_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> TablePreview:
    """Return a table whose cells are text, long ones shortened."""
    shown = [[shown_cell(cell) for cell in row] for row in rows]
    return TablePreview({"index": list(range(len(rows))), "columns": list(columns), "data": shown})


def shown_cell(value: Any) -> str:
    """Return a cell as text: a dash for nothing, fractions with four digits."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and all(isinstance(v, float) for v in value):
        return "[" + ", ".join(map(shown_cell, value)) + "]"
    text = str(value)
    return text if len(text) <= _CUT else text[:_CUT] + "…"


def table_of_figures(document: Any) -> tuple[list[str], list[list[Any]]]:
    """Return a list of records as it is, and anything else as a row for each figure in it."""
    if isinstance(document, list) and all(isinstance(row, Mapping) for row in document):
        columns = list(dict.fromkeys(name for row in document for name in row))
        return columns, [[row.get(name) for name in columns] for row in document]
    return ["figure", "value"], [[" · ".join(path), value] for path, value in _leaves(document)]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and set(value) == {"value", "interval"}:
        yield path, f"{shown_cell(value['value'])} {shown_cell(value['interval'])}"
    elif isinstance(value, Mapping):
        for name, own in value.items():
            yield from _leaves(own, (*path, str(name)))
    elif isinstance(value, list) and any(isinstance(own, (Mapping, list)) for own in value):
        for place, own in enumerate(value, 1):
            yield from _leaves(own, (*path, str(place)))
    else:
        yield path, value
