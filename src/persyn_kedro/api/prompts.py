"""Prompts in any common form, as the table that the steps take."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.prompts import prepare_prompts
from persyn_kedro.foundations.errors import PersynError


def prompt_table(prompts: Any) -> pa.Table:
    """Return prompts as ``schemas.SOURCE_PROMPTS``, without duplicates.

    Args:
        prompts: texts, mappings with ``prompt`` and, if known, ``reference``, or an Arrow table or
            pandas data frame with these columns.

    Raises:
        PersynError: a row has no prompt, or an empty one.
    """
    return prepare_prompts(map(_row, enumerate(_rows(prompts), 1))).read_all()


def _rows(prompts: Any) -> Iterable[Any]:
    if isinstance(prompts, pa.Table):
        return prompts.to_pylist()
    if hasattr(prompts, "to_dict"):  # a pandas data frame
        return pa.Table.from_pandas(prompts, preserve_index=False).to_pylist()
    return prompts


def _row(numbered: tuple[int, Any]) -> dict[str, Any]:
    number, row = numbered
    row = {"prompt": row} if isinstance(row, str) else row
    if not isinstance(row, Mapping) or not isinstance(row.get("prompt"), str):
        raise PersynError(f"Row {number} of the prompts has no text in 'prompt'.")
    reference = row.get("reference")
    known = None if reference is None or reference != reference else str(reference)
    metadata = row.get("metadata")
    return {"prompt": row["prompt"], "reference": known, "source": "python", "metadata": metadata}
