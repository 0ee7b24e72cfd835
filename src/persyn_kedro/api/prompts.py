"""Prompts in any common form, as the table that the steps take."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.prompts import asked_prompt, prepare_prompts, read_messages
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables import columns_of, read_tests, stored


def prompt_table(prompts: Any) -> pa.Table:
    """Return prompts as ``schemas.SOURCE_PROMPTS``, without duplicates.

    Args:
        prompts: texts, lists of messages (dicts of role and content), mappings with ``prompt`` or
            ``messages`` and, if known, ``reference`` or ``tests`` of code, or an Arrow table or
            pandas data frame with these columns.

    Raises:
        PersynError: a row has no prompt, an empty one, or messages that do not end with the user's.
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
    where = f"Row {number} of the prompts"
    if not isinstance(row, Mapping):
        row = {"prompt" if isinstance(row, str) else "messages": row}
    text, messages = row.get("prompt"), row.get("messages")
    if messages is not None and (text is None or "prompt_id" in row):  # our own tables have both
        prompt = asked_prompt(read_messages(messages, where), where)
    elif isinstance(text, str):
        prompt = text
    else:
        raise PersynError(f"{where} has no text in 'prompt'.")
    reference = row.get("reference")
    known = None if reference is None or reference != reference else str(reference)
    told = {"reference": known, "source": "python", "metadata": row.get("metadata")}
    if "tests" in row:
        try:
            tests = read_tests(row["tests"], row.get("entry_point"))
        except ValueError as error:
            raise PersynError(f"The tests of row {number} of the prompts {error}.") from error
        told |= stored([known] if known else [], tests)
    return {**columns_of(prompt), **told}
