"""How a table is declared: one line per column, with its type, meaning and rule.

Rules see pandas columns in which null differs from NaN. Pandera is imported only where rules are
used: reading the catalog must stay fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Check, DataFrameSchema

ROUNDING = 1e-9  # in rewards


@dataclass(frozen=True)
class Column:
    """A column: ``holds`` returns which values obey the rule that ``says`` states."""

    name: str
    type: pa.DataType
    meaning: str = ""
    says: str = ""
    holds: Callable[[Any], Any] | None = None
    null: bool = False

    def check(self) -> Any:
        """Return the rule as a pandera check."""
        from pandera.pandas import Check, Column as Rule

        checks = [Check(self.holds, error=self.says, n_failure_cases=1)] if self.holds else []
        return Rule(checks=checks, nullable=self.null)


@dataclass(frozen=True)
class Between:
    """A rule between columns, reported for ``column``; broken where its result is unknown."""

    column: str
    says: str
    holds: Callable[["pd.DataFrame"], Any]

    def check(self) -> "Check":
        """Return the rule as a pandera check."""
        from pandera.pandas import Check

        def known(frame: "pd.DataFrame") -> Any:
            return self.holds(frame).fillna(False).astype(bool)

        return Check(known, name=self.column, error=self.says, ignore_na=False, n_failure_cases=1)


@dataclass(frozen=True)
class Table:
    """A table passed between steps; no two rows have the same ``key``."""

    name: str
    key: Sequence[str]
    columns: Sequence[Column]
    rules: Sequence[Between] = ()

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns' names and types."""
        return pa.schema([(column.name, column.type) for column in self.columns])

    @cached_property
    def checks(self) -> "DataFrameSchema":
        """All rules, as a pandera schema."""
        from pandera.pandas import DataFrameSchema

        return DataFrameSchema(
            {column.name: column.check() for column in self.columns},
            checks=[rule.check() for rule in self.rules],
            unique=list(self.key),
            report_duplicates="exclude_first",
        )


def anything(name: str, kind: pa.DataType, meaning: str = "") -> Column:
    """Declare a column of any value or null."""
    return Column(name, kind, meaning, null=True)


def given(name: str, kind: pa.DataType, meaning: str = "") -> Column:
    """Declare a column of any value, but not null."""
    return Column(name, kind, meaning)


def hex_id(name: str, meaning: str = "", null: bool = False) -> Column:
    """Declare a column of identities (``foundations.hashing``)."""
    says = "must be 32 lower-case hex digits"
    return Column(name, pa.string(), meaning, says, lambda s: s.str.fullmatch("[0-9a-f]{32}"), null)


def text(name: str, meaning: str = "") -> Column:
    """Declare a column of text that is not blank."""
    return Column(name, pa.string(), meaning, "must not be blank", lambda s: s.str.strip() != "")


def one_of(name: str, *values: str) -> Column:
    """Declare a column that allows only these words."""
    says = f"must be one of {', '.join(values)}"
    return Column(name, pa.string(), "", says, lambda s: s.isin(values))


def count(name: str, kind: pa.DataType, meaning: str = "", null: bool = False) -> Column:
    """Declare a column of counts or amounts."""
    return Column(name, kind, meaning, "must be 0 or more", lambda s: s >= 0, null)


def share(name: str, meaning: str = "") -> Column:
    """Declare a column from 0 to 1, or null; sums of rewards may round past the ends."""
    says = "must be null or from 0 to 1"
    return Column(
        name, pa.float64(), meaning, says, lambda s: s.between(-ROUNDING, 1 + ROUNDING), True
    )


def finite(name: str, meaning: str = "") -> Column:
    """Declare a column of finite numbers or null."""
    return Column(
        name, pa.float64(), meaning, "must be finite", lambda s: s.abs() < float("inf"), True
    )


def scores(name: str = "scores", meaning: str = "one per teacher, in the pool's order") -> Column:
    """Declare a column of lists of scores."""

    def holds(scores: Any) -> Any:
        flat = scores.list.flatten()
        bad = flat.index[~(flat.abs() < float("inf")).fillna(False).astype(bool)]
        return (scores.list.len() >= 2) & ~scores.index.isin(bad)

    says = "must be two or more finite numbers"
    return Column(name, pa.list_(pa.float32()), meaning, says, holds)


def standard_errors() -> Column:
    """Declare a column of the scores' standard errors, or null."""

    def holds(errors: Any) -> Any:
        flat = errors.list.flatten()
        bad = flat.index[~((flat >= 0) & (flat < float("inf"))).fillna(False).astype(bool)]
        return errors.isna() | ~errors.index.isin(bad)

    meaning = "of the scores, in their order; null if the router has none"
    says = "must be null or finite numbers of 0 or more"
    return Column("standard_errors", pa.list_(pa.float32()), meaning, says, holds, null=True)
