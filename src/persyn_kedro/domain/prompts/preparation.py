"""From raw rows to the tables of prompts and splits."""

import logging
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id, unit_draw
from persyn_kedro.foundations.step_parameters import PrepareSettings

logger = logging.getLogger(__name__)


def prepare_prompts(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Give each row its content-hash ``prompt_id`` and drop repeated prompts (the first stays).

    Returns:
        A table of ``schemas.PROMPTS``, in the order of ``rows``.

    Raises:
        PersynError: a prompt is blank, or there is none.
    """
    seen: dict[str, dict[str, Any]] = {}
    total = 0
    for total, row in enumerate(rows, start=1):
        if not row["prompt"].strip():
            raise PersynError(f"Prompt {total} of {row['source']} is empty.")
        seen.setdefault(text_id(row["prompt"]), row)
    if not seen:
        raise PersynError("The prompt source holds no prompts.")
    if total > len(seen):
        logger.warning("%d of %d prompts were repeats and are left out", total - len(seen), total)
    bare = sum(row["reference"] is None for row in seen.values())
    if 0 < bare < len(seen):
        logger.info("%d of %d prompts have no reference to check answers by", bare, len(seen))
    records = [{"prompt_id": prompt_id, **row} for prompt_id, row in seen.items()]
    return pa.Table.from_pylist(records, schemas.PROMPTS)


def split_prompts(prompt_ids: Iterable[str], settings: PrepareSettings, seed: int) -> pa.Table:
    """Draw calibration, train and test by a hash of seed and prompt, and each one's part.

    A prompt's place depends on nothing but itself, so adding prompts never moves old ones.

    Returns:
        A table of ``schemas.SPLITS``.
    """
    rows = [_place(prompt_id, settings, seed) for prompt_id in prompt_ids]
    return pa.Table.from_pylist(rows, schemas.SPLITS)


def _place(prompt_id: str, settings: PrepareSettings, seed: int) -> dict[str, str | None]:
    draw = unit_draw(seed, "split", prompt_id)
    inner = unit_draw(seed, "part", prompt_id)
    part: str | None
    if draw < settings.test_fraction:
        split, part = "test", None
    elif draw < settings.test_fraction + settings.calibration_fraction:
        split, part = "calibration", "holdout" if inner < settings.holdout_fraction else "fit"
    else:
        split, part = "train", "withheld" if inner < settings.withheld_fraction else "sft"
    return {"prompt_id": prompt_id, "split": split, "part": part}
