"""All tables by name."""

import pyarrow as pa

from persyn_kedro.foundations.tables import answers, comparisons, labels, prompts, routing, training

FAMILIES = (prompts, answers, labels, routing, training, comparisons)
TABLES = {table.name: table for family in FAMILIES for table in family.TABLES}
COLUMNS: dict[str, pa.Schema] = {name: table.schema for name, table in TABLES.items()}
