"""Turn raw rows into prompts with ids, and assign each prompt to a split."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.prompts.conversation import prompt_id_of
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import prompt_of
from persyn_kedro.foundations.tables.rows import BLOCK
from persyn_kedro.foundations.tables.seen_keys import SeenKeys

VERSION = 1  # raise it when the same inputs give another result

T = TypeVar("T")

logger = logging.getLogger(__name__)


def prepare_prompts(
    rows: Iterable[dict[str, Any]], repeats: Counter[str] | None = None
) -> pa.RecordBatchReader:
    """Give each row its content-hash ``prompt_id`` and drop duplicate prompts (the first is kept).

    Args:
        repeats: counts the dropped rows of each prompt_id, as they are read.

    Returns:
        Batches of ``schemas.SOURCE_PROMPTS``, in the order of ``rows``, which are read lazily.

    Raises:
        PersynError: while reading: a prompt is blank, or there are no prompts.
    """
    return pa.RecordBatchReader.from_batches(
        schemas.SOURCE_PROMPTS, _new_prompts(rows, Counter() if repeats is None else repeats)
    )


def repeated_prompts(repeats: Counter[str]) -> pa.RecordBatchReader:
    """Return ``schemas.REPEATED_PROMPTS``, made when it is read: after all prompts were."""

    def batches() -> Iterator[pa.RecordBatch]:
        columns = [pa.array(repeats.keys(), pa.string()), pa.array(repeats.values(), pa.int64())]
        yield pa.RecordBatch.from_arrays(columns, schema=schemas.REPEATED_PROMPTS)

    return pa.RecordBatchReader.from_batches(schemas.REPEATED_PROMPTS, batches())


def _new_prompts(rows: Iterable[dict[str, Any]], repeats: Counter[str]) -> Iterator[pa.RecordBatch]:
    seen = SeenKeys()
    total = kept = bare = 0
    for block in _blocks(rows):
        first: dict[str, dict[str, Any]] = {}
        for row in block:
            total += 1
            if not row["prompt"].strip():
                raise PersynError(f"Prompt {total} of {row['source']} is empty; remove it.")
            prompt_id = prompt_id_of(prompt_of({"messages": None, **row}))
            if prompt_id in first:
                repeats[prompt_id] += 1
            else:
                first[prompt_id] = row
        repeated = seen.known(list(first)).tolist()
        repeats.update(i for i, old in zip(first, repeated, strict=True) if old)
        new = [(i, row) for (i, row), old in zip(first.items(), repeated, strict=True) if not old]
        kept += len(new)
        bare += sum(row["reference"] is None for _, row in new)
        records = [{"prompt_id": prompt_id, **row} for prompt_id, row in new]
        yield pa.RecordBatch.from_pylist(records, schemas.SOURCE_PROMPTS)
    if not kept:
        raise PersynError("The prompt source has no prompts; check `prepare.source`.")
    if total > kept:
        logger.warning("%d of %d prompts are duplicates and were dropped", total - kept, total)
    if 0 < bare < kept:
        logger.info("%d of %d prompts have no reference to check answers against", bare, kept)


def split_prompts(
    prompts: Iterable[pa.RecordBatch],
    settings: PrepareSettings,
    seed: int,
    dropped: pa.ChunkedArray | None = None,
) -> pa.RecordBatchReader:
    """Assign prompts to calibration, train and test, and to parts, by a hash of seed and prompt.

    A prompt's split does not depend on other prompts, so adding prompts never moves existing ones.

    Args:
        prompts: batches of ``schemas.SOURCE_PROMPTS``.
        dropped: ids of prompts to leave out.

    Returns:
        Batches of ``schemas.PROMPTS``, made lazily as ``prompts`` are read.
    """
    gone = frozenset(() if dropped is None else dropped.to_pylist())
    batches = (_placed(_without(batch, gone), settings, seed) for batch in prompts)
    return pa.RecordBatchReader.from_batches(schemas.PROMPTS, batches)


def _blocks(items: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(items)
    while block := list(islice(waiting, BLOCK)):
        yield block


def _without(prompts: pa.RecordBatch, gone: frozenset[str]) -> pa.RecordBatch:
    if not gone:
        return prompts
    return prompts.filter(pa.array([i not in gone for i in prompts["prompt_id"].to_pylist()]))


def _placed(prompts: pa.RecordBatch, settings: PrepareSettings, seed: int) -> pa.RecordBatch:
    places = [place_of(i, settings, seed) for i in prompts["prompt_id"].to_pylist()]
    added = (pa.array([place[n] for place in places], pa.string()) for n in range(2))
    return pa.RecordBatch.from_arrays([*prompts.columns, *added], schema=schemas.PROMPTS)


def place_of(prompt_id: str, settings: PrepareSettings, seed: int) -> tuple[str, str | None]:
    """Return a prompt's split and part, which depend on nothing but its id, settings and seed."""
    draw = unit_draw(seed, "split", prompt_id)
    inner = unit_draw(seed, "part", prompt_id)
    if draw < settings.test_fraction:
        return "test", None
    if draw < settings.test_fraction + settings.calibration_fraction:
        return "calibration", "holdout" if inner < settings.holdout_fraction else "fit"
    return "train", "withheld" if inner < settings.withheld_fraction else "sft"
