"""Prompts from several sources, mixed by weights down to a limit."""

import json
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.prompts.prepare import prepare_prompts
from persyn_kedro.domain.prompts.records import Row
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.prepare import NamedSource, PrepareSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import BLOCK
from persyn_kedro.foundations.tables.seen_keys import SeenKeys

VERSION = 1  # raise it when the same inputs give another result

logger = logging.getLogger(__name__)


def mix_sources(
    settings: PrepareSettings, seed: int, repeats: Counter[str] | None = None
) -> pa.RecordBatchReader:
    """Return the prompts of ``settings.sources``, source by source, without duplicates.

    A prompt in two sources is the first one's. With ``settings.limit``, each source gives its share
    of it (``shares``): the prompts of the lowest hashes of seed and prompt, in order. A larger
    share therefore contains a smaller one.

    Args:
        repeats: counts the dropped rows of each prompt_id, as they are read.

    Returns:
        Batches of ``schemas.SOURCE_PROMPTS``, made lazily; with a limit, at most about twice the
        limit of each source is held in memory.

    Raises:
        PersynError: while reading, as ``read_rows`` does.
    """
    batches = _distinct(settings, seed, Counter() if repeats is None else repeats)
    if settings.limit is not None:
        weights = {source.name: source.weight for source in settings.sources}
        batches = _drawn(batches, weights, settings.limit, seed)
    return pa.RecordBatchReader.from_batches(schemas.SOURCE_PROMPTS, _counted(batches))


def shares(counts: Mapping[str, int], weights: Mapping[str, float], limit: int) -> dict[str, int]:
    """Return how many prompts each source gives, in total ``limit`` or all that there are.

    A source gives weight / (sum of weights) of the limit. One that has fewer gives all, and the
    rest is shared by the others' weights. Fractions are rounded by largest remainder, of equal ones
    the first source's up.

    Args:
        counts: prompts that a source has.
    """
    given: dict[str, int] = {}
    open_names, left = list(counts), min(limit, sum(counts.values()))
    while open_names:
        total = math.fsum(weights[name] for name in open_names)
        parts = {name: left * weights[name] / total for name in open_names}
        short = [name for name in open_names if counts[name] <= parts[name]]
        if not short:
            return {name: (given | _rounded(parts, left))[name] for name in counts}
        given |= {name: counts[name] for name in short}
        left -= sum(counts[name] for name in short)
        open_names = [name for name in open_names if name not in short]
    return {name: given[name] for name in counts}


def _rounded(parts: Mapping[str, float], total: int) -> dict[str, int]:
    """Round to integers that add up to ``total``."""
    whole = {name: math.floor(part) for name, part in parts.items()}
    by_remainder = sorted(parts, key=lambda name: whole[name] - parts[name])  # stable
    for name in by_remainder[: total - sum(whole.values())]:
        whole[name] += 1
    return whole


def _distinct(
    settings: PrepareSettings, seed: int, repeats: Counter[str]
) -> Iterator[pa.RecordBatch]:
    """Yield each source's prompts that no earlier source has."""
    seen = SeenKeys()
    for source in settings.sources:
        known = 0
        for batch in prepare_prompts(_named(source, settings.kept, seed), repeats):
            repeated = seen.known(batch["prompt_id"].to_pylist())
            known += int(repeated.sum())
            repeats.update(batch["prompt_id"].filter(pa.array(repeated)).to_pylist())
            yield batch.filter(pa.array(~repeated))
        if known:
            logger.warning(
                "%d prompts of source %s are in an earlier source and were dropped",
                known, source.name,
            )  # fmt: skip


def _named(source: NamedSource, kept: list[str], seed: int) -> Iterator[Row]:
    """Yield a source's rows with its name; all sources' rows have the same kept columns."""
    none = dict.fromkeys(kept)
    for row in read_rows(source, seed):
        own = json.loads(row.get("kept") or "{}")
        told = json.dumps({**none, **own, "source": source.name}, ensure_ascii=False)
        yield {**row, "source": source.name, "kept": told}


def _drawn(
    batches: Iterable[pa.RecordBatch], weights: Mapping[str, float], limit: int, seed: int
) -> Iterator[pa.RecordBatch]:
    """Yield the prompts that are drawn, in order.

    A source never gives more than ``limit``: while reading, only so many are held of each.
    """
    counts, most = Counter(dict.fromkeys(weights, 0)), dict.fromkeys(weights, limit)
    held, waiting = _with_draws(schemas.SOURCE_PROMPTS.empty_table(), seed), 0
    for batch in batches:
        counts.update(batch["source"].to_pylist())
        held = pa.concat_tables([held, _with_draws(pa.Table.from_batches([batch]), seed)])
        waiting += len(batch)
        if waiting >= max(limit, BLOCK):
            held, waiting = _lowest(held, most), 0
    wanted = shares(counts, weights, limit)
    yield from _lowest(held, wanted).drop_columns("draw").to_batches(BLOCK)


def _with_draws(prompts: pa.Table, seed: int) -> pa.Table:
    draws = [unit_draw(seed, "mixture", i) for i in prompts["prompt_id"].to_pylist()]
    return prompts.append_column("draw", pa.array(draws, pa.float64()))


def _lowest(prompts: pa.Table, counts: Mapping[str, int]) -> pa.Table:
    """Return of each source the rows with the lowest draws, in order."""
    draws = prompts["draw"].to_numpy()
    chosen = []
    for name, count in counts.items():
        places = pc.equal(prompts["source"], name).to_numpy().nonzero()[0]
        chosen.append(places[np.argsort(draws[places], kind="stable")[:count]])
    return prompts.take(np.sort(np.concatenate(chosen)))


def _counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    counts: Counter[str] = Counter()
    for batch in batches:
        counts.update(batch["source"].to_pylist())
        yield batch
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    logger.info("Prompts by source: %s", said)
