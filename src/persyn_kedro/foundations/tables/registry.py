"""All tables by name: their columns, and the rules beyond the columns' types."""

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from persyn_kedro.foundations.tables import comparisons as comparison_rules
from persyn_kedro.foundations.tables import main_path as main_path_rules

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

_TABLES = {**main_path_rules.TABLES, **comparison_rules.TABLES}
COLUMNS: dict[str, pa.Schema] = {name: columns for name, (columns, _) in _TABLES.items()}


@cache
def rules_of(kind: str) -> "DataFrameSchema":
    """Return the rules of the table ``kind``, one of ``COLUMNS``, as a pandera schema."""
    _, rules = _TABLES[kind]
    return rules()
