"""Checks a table's rows, piece by piece, as they are saved."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.registry import TABLES
from persyn_kedro.foundations.tables.seen_keys import SeenKeys

if TYPE_CHECKING:
    import pandas as pd
    from pandera.errors import SchemaError


class TableCheck:
    """Checks the rows of one table, piece by piece in order.

    Between pieces it remembers a hash of each row's key; nothing else grows.
    """

    def __init__(self, kind: str, name: str, columns: pa.Schema) -> None:
        """Take the rules of table ``kind`` (one of ``TABLES``); errors call it ``name``.

        Raises:
            PersynError: ``columns`` are not exactly the table's; metadata is ignored.
        """
        self._name, self._rules = name, TABLES[kind].checks
        self._rows = 0
        self._keys = SeenKeys()
        self._width: int | None = None  # scores per row
        _check_columns(name, columns, TABLES[kind].schema)

    def check(self, rows: pa.Table) -> None:
        """Check the next rows.

        Raises:
            PersynError: names table, column, rule and the first row that breaks it.
        """
        import pandas as pd
        from pandera.errors import SchemaError

        frame = rows.to_pandas(types_mapper=pd.ArrowDtype)  # distinguishes null from NaN
        try:
            self._rules.validate(frame)
        except SchemaError as error:
            raise self._refusal(frame, *_broken(error)) from None
        self._check_keys(frame)
        self._check_widths(frame)
        self._rows += len(frame)

    def _check_keys(self, frame: "pd.DataFrame") -> None:
        """Refuse a key of an earlier piece; pandera finds repeats within one."""
        keys = zip(*(frame[name].tolist() for name in self._key), strict=True)
        known = self._keys.known([repr(key) for key in keys])
        if known.any():
            row = int(known.argmax())
            raise self._refusal(frame, " and ".join(self._key), "must be unique", row)

    def _check_widths(self, frame: "pd.DataFrame") -> None:
        if "scores" not in frame or frame.empty:
            return
        widths = frame["scores"].list.len().to_numpy()
        self._width = int(widths[0]) if self._width is None else self._width
        wrong = widths != self._width
        if wrong.any():
            rule = f"must have the same length in all rows ({self._width})"
            raise self._refusal(frame, "scores", rule, int(wrong.argmax()))

    def _refusal(self, frame: "pd.DataFrame", column: str, rule: str, row: int) -> PersynError:
        found = frame.iloc[row].to_dict()
        value = (
            _shown(found[column]) if column in found and rule != "must be unique" else "repeated"
        )
        place = ", ".join(f"{name} {_shown(found[name])}" for name in self._key)
        return PersynError(
            f"Table {self._name} was not saved: {column} {rule}, but is {value} in row "
            f"{self._rows + row + 1} ({place})."
        )

    @property
    def _key(self) -> list[str]:
        return list(self._rules.unique or [])


def _check_columns(name: str, found: pa.Schema, wanted: pa.Schema) -> None:
    if found.equals(wanted, check_metadata=False):
        return
    for place, field in enumerate(wanted):
        if place >= len(found) or found.field(place) != field:
            there = str(found.field(place)) if place < len(found) else "missing"
            break
    else:
        place, there = len(wanted), str(found.field(len(wanted)))
    expected = str(wanted.field(place)) if place < len(wanted) else "none"
    raise PersynError(
        f"Table {name} was not saved: column {place + 1} must be {expected}, but is {there}."
    )


def _broken(error: "SchemaError") -> tuple[str, str, int]:
    """Return the column, the rule that pandera found broken, and the first row that breaks it."""
    from pandera.errors import SchemaErrorReason
    from pandera.pandas import Check, Column

    if error.reason_code == SchemaErrorReason.CHECK_ERROR:
        raise error  # the rule itself failed
    row = int(error.failure_cases["index"].min())
    if error.reason_code == SchemaErrorReason.DUPLICATES:
        return " and ".join(error.schema.unique), "must be unique", row
    if not isinstance(error.check, Check):
        return error.schema.name, "must not be null", row
    column = error.schema.name if isinstance(error.schema, Column) else error.check.name
    return str(column), str(error.check.error), row


def _shown(value: Any) -> str:
    import pandas as pd

    if value is pd.NA or value is None:
        return "null"
    plain = isinstance(value, str) and value.isprintable() and value.strip()
    text = value if plain else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
