"""The words in which a table's rules are written: of one column, or between columns.

Nulls are told from NaN in the frames that are checked. Pandera is imported where it is used:
reading the catalog must stay quick.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Check, Column, DataFrameSchema

ROUNDING = 1e-9  # of rewards


def column(rule: str = "", holds: Callable[[Any], Any] | None = None, null: bool = False) -> Any:
    """Return a column whose values keep to ``rule``; ``null``: or may be null."""
    from pandera.pandas import Check, Column

    checks = [Check(holds, error=rule, n_failure_cases=1)] if holds else []
    return Column(checks=checks, nullable=null)


def between(column: str, rule: str, holds: Callable[["pd.DataFrame"], Any]) -> "Check":
    """Return a rule between columns, told of ``column``; where it cannot be known it is broken."""
    from pandera.pandas import Check

    def holds_known(frame: "pd.DataFrame") -> Any:
        return holds(frame).fillna(False).astype(bool)

    return Check(holds_known, name=column, error=rule, ignore_na=False, n_failure_cases=1)


def schema(columns: Mapping[str, Any], key: list[str], *checks: "Check") -> "DataFrameSchema":
    """Return a table's rules; ``key``: the columns that no two rows share."""
    from pandera.pandas import DataFrameSchema

    return DataFrameSchema(
        dict(columns), checks=list(checks), unique=key, report_duplicates="exclude_first"
    )


def anything() -> "Column":
    """Return a column of any value or null."""
    return column(null=True)


def hex_id(null: bool = False) -> "Column":
    """Return a column of identities."""
    rule = "must be 32 lower hex digits"
    return column(rule, lambda s: s.str.fullmatch("[0-9a-f]{32}"), null)


def text() -> "Column":
    """Return a column of text that says something."""
    return column("must not be blank", lambda s: s.str.strip() != "")


def one_of(*values: str) -> "Column":
    """Return a column of these words alone."""
    return column(f"must be one of {', '.join(values)}", lambda s: s.isin(values))


def count() -> "Column":
    """Return a column of counts."""
    return column("must be 0 or more", lambda s: s >= 0)


def share() -> "Column":
    """Return a column from 0 to 1, or null; sums of rewards may round past the ends."""
    rule = "must be null or from 0 to 1"
    return column(rule, lambda s: s.between(-ROUNDING, 1 + ROUNDING), null=True)


def finite(null: bool = False) -> "Column":
    """Return a column of finite numbers."""
    return column("must be finite", lambda s: s.abs() < float("inf"), null)


def scores() -> "Column":
    """Return a column of lists of scores, one for each teacher."""

    def holds(scores: Any) -> Any:
        flat = scores.list.flatten()
        bad = flat.index[~(flat.abs() < float("inf")).fillna(False).astype(bool)]
        return (scores.list.len() >= 2) & ~scores.index.isin(bad)

    return column("must be two or more finite numbers", holds)
