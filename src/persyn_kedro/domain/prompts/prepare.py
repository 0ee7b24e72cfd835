"""From raw rows to the tables of prompts and splits."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id, unit_draw
from persyn_kedro.foundations.settings.steps import PrepareSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import BLOCK
from persyn_kedro.foundations.tables.seen_keys import SeenKeys

VERSION = 1  # raise it when the same inputs make something else

T = TypeVar("T")

logger = logging.getLogger(__name__)


def prepare_prompts(rows: Iterable[dict[str, Any]]) -> pa.RecordBatchReader:
    """Give each row its content-hash ``prompt_id`` and drop repeated prompts (the first stays).

    Returns:
        Batches of ``schemas.PROMPTS``, in the order of ``rows``, which are read as these are.

    Raises:
        PersynError: while they are read: a prompt is blank, or there is none.
    """
    return pa.RecordBatchReader.from_batches(schemas.PROMPTS, _new_prompts(rows))


def _new_prompts(rows: Iterable[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    seen = SeenKeys()
    total = kept = bare = 0
    for block in _blocks(rows):
        first: dict[str, dict[str, Any]] = {}
        for row in block:
            total += 1
            if not row["prompt"].strip():
                raise PersynError(f"Prompt {total} of {row['source']} is empty.")
            first.setdefault(text_id(row["prompt"]), row)
        repeated = seen.known(list(first)).tolist()
        new = [(i, row) for (i, row), old in zip(first.items(), repeated, strict=True) if not old]
        kept += len(new)
        bare += sum(row["reference"] is None for _, row in new)
        records = [{"prompt_id": prompt_id, **row} for prompt_id, row in new]
        yield pa.RecordBatch.from_pylist(records, schemas.PROMPTS)
    if not kept:
        raise PersynError("The prompt source holds no prompts.")
    if total > kept:
        logger.warning("%d of %d prompts were repeats and are left out", total - kept, total)
    if 0 < bare < kept:
        logger.info("%d of %d prompts have no reference to check answers by", bare, kept)


def split_prompts(
    prompt_ids: Iterable[str], settings: PrepareSettings, seed: int
) -> pa.RecordBatchReader:
    """Draw calibration, train and test by a hash of seed and prompt, and each one's part.

    A prompt's place depends on nothing but itself, so adding prompts never moves old ones.

    Returns:
        Batches of ``schemas.SPLITS``.
    """
    batches = (
        pa.RecordBatch.from_pylist([_place(i, settings, seed) for i in block], schemas.SPLITS)
        for block in _blocks(prompt_ids)
    )
    return pa.RecordBatchReader.from_batches(schemas.SPLITS, batches)


def _blocks(items: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(items)
    while block := list(islice(waiting, BLOCK)):
        yield block


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
