"""Find one prompt by the beginning of its id or by its text."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import is_unicode
from persyn_kedro.foundations.prompts.conversation import Prompt, prompt_id_of
from persyn_kedro.foundations.tables.messages import PROMPT, columns_of

COLUMNS = ["prompt_id", *PROMPT, "reference", "metadata", "split", "part"]
SHOWN = 3  # ids in a message


def find_prompt(prompts: pads.Dataset, prompt_id: str) -> dict[str, Any]:
    """Return the row (``COLUMNS``) of the only prompt whose id begins with ``prompt_id``.

    Raises:
        PersynError: no prompt or several match; the message lists the nearest ids.
    """
    begun = pc.starts_with(pc.field("prompt_id"), prompt_id)
    rows = prompts.to_table(columns=COLUMNS, filter=begun)
    if len(rows) == 1:
        return rows.to_pylist()[0]
    if len(rows):
        raise PersynError(
            f"{len(rows)} prompt ids begin with {prompt_id!r}; give more characters of "
            f"{_listed(rows['prompt_id'])}."
        )
    ids = prompts.to_table(columns=["prompt_id"])["prompt_id"]
    raise PersynError(f"No prompt id begins with {prompt_id!r}; {_near(ids, prompt_id)}.")


def row_of_prompt(prompts: pads.Dataset, prompt: Prompt) -> dict[str, Any]:
    """Return the row of exactly this text or conversation, or a new row if there is none.

    Raises:
        PersynError: the text is empty or contains invalid Unicode.
    """
    if isinstance(prompt, str) and not (prompt.strip() and is_unicode(prompt)):
        raise PersynError("The prompt's text is empty or contains invalid Unicode; correct it.")
    prompt_id = prompt_id_of(prompt)
    rows = prompts.to_table(columns=COLUMNS, filter=pc.field("prompt_id") == prompt_id).to_pylist()
    new = {**dict.fromkeys(COLUMNS), "prompt_id": prompt_id, **columns_of(prompt)}
    return rows[0] if rows else new


def some_ids(prompts: pads.Dataset) -> str:
    """Return a few prompt_ids, for a message."""
    return _listed(prompts.head(SHOWN, columns=["prompt_id"])["prompt_id"])


def _near(ids: pa.ChunkedArray, prompt_id: str) -> str:
    """List the ids with the longest common prefix with ``prompt_id``, for a message."""
    for length in range(len(prompt_id) - 1, 0, -1):
        found = ids.filter(pc.starts_with(ids, prompt_id[:length]))
        if len(found):
            return f"nearest: {_listed(found)}"
    return f"available: {_listed(ids)}"


def _listed(ids: pa.ChunkedArray) -> str:
    names = ", ".join(ids.slice(0, SHOWN).to_pylist())
    return names + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
