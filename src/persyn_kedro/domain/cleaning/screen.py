"""Which prompts are dropped, why, and what each one matches (METHOD.md, section 0)."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.cleaning.dropped import dropped_counts
from persyn_kedro.domain.cleaning.near_duplicates import PERMUTATIONS, nearest_kept, signatures
from persyn_kedro.domain.cleaning.reasons import DUPLICATE, NEAR, Reasons
from persyn_kedro.domain.cleaning.texts import excerpt, user_text
from persyn_kedro.domain.prompts import place_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import PrepareSettings, cleans
from persyn_kedro.foundations.tables import (
    DROPPED_PROMPTS,
    PROMPT,
    TableRows,
    prompts_of,
    read_blocks,
)

VERSION = 1  # raise it when the same inputs give another result

# Of near-duplicates, the first of these is kept: what measures before what is trained on.
PLACES = ("test", "calibration/holdout", "train/withheld", "calibration/fit", "train/sft")

Row = dict[str, Any]

logger = logging.getLogger(__name__)


def screen_prompts(
    source_prompts: pads.Dataset, repeated: pa.Table, settings: PrepareSettings, seed: int
) -> pa.Table:
    """Return the prompts that are dropped (``schemas.DROPPED_PROMPTS``).

    The first reason counts, in this order: length, language, overlap with a test set, a nearly
    equal prompt. In memory are a signature of each prompt, and what is dropped.

    Args:
        source_prompts: ``schemas.SOURCE_PROMPTS``.
        repeated: ``schemas.REPEATED_PROMPTS``.

    Raises:
        PersynError: a test set cannot be read, or no prompt is left where there was one.
    """
    screen = _Screen(source_prompts, settings, seed)
    repeats = screen.repeats(repeated)
    if not cleans([settings]):
        return repeats
    dropped = pa.concat_tables([screen.by_itself(), screen.near_duplicates()])
    counts = dropped_counts(dropped)
    said = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
    logger.info(
        "Dropped %d of %d distinct prompts (%s); dropped_prompts has each one's match",
        len(dropped), len(screen.ranks), said,
    )  # fmt: skip
    _check_enough(dropped, screen.ranks, said)
    return pa.concat_tables([repeats, dropped])


class _Screen:
    def __init__(self, prompts: pads.Dataset, settings: PrepareSettings, seed: int) -> None:
        self._prompts, self._settings, self._seed = prompts, settings, seed
        self._rows = TableRows(prompts, ["prompt_id", "source", *PROMPT])
        self._kept = np.ones(len(self._rows), bool)
        self._signatures = np.zeros((0, PERMUTATIONS), np.uint32)

    @cached_property
    def _ids(self) -> pa.Array:
        return self._prompts.to_table(columns=["prompt_id"])["prompt_id"].combine_chunks()

    @cached_property
    def ranks(self) -> np.ndarray:
        """(n,) int8, the index in ``PLACES`` of each prompt's split and part."""
        ranks = (PLACES.index(self._place(i.as_py())) for i in self._ids)
        return np.fromiter(ranks, np.int8, len(self._ids))

    def repeats(self, repeated: pa.Table) -> pa.Table:
        """Return the exact duplicates, which were dropped as they were read."""
        if not len(repeated):
            return DROPPED_PROMPTS.empty_table()
        rows = pc.index_in(repeated["prompt_id"], value_set=self._ids)
        known = repeated.append_column("row", rows).filter(pc.is_valid(rows)).sort_by("row")
        copies = known["copies"].to_pylist()

        def why(place: int, row: Row) -> Row:
            same = {"match": row["prompt_id"], "match_excerpt": row["excerpt"]}
            return {"reason": DUPLICATE, "copies": copies[place], **same}

        return self._table(known["row"].to_numpy(), why)

    def by_itself(self) -> pa.Table:
        """Return what is dropped whatever the other prompts are; sign the rest."""
        reasons, near = Reasons(self._settings), self._settings.near_duplicates
        found: dict[int, Row] = {}
        if near is not None:
            self._signatures = np.zeros((len(self._rows), PERMUTATIONS), np.uint32)
        begin = 0
        for block in read_blocks(self._prompts, ["source", *PROMPT]):
            texts = dict(enumerate(self._texts(block), start=begin))
            begin += len(texts)
            found |= {row: why for row, text in texts.items() if (why := reasons.of(text))}
            left = {row: text for row, text in texts.items() if row not in found}
            if near is not None:
                signed = signatures(left.values(), near.characters, self._seed)
                for row, signature in zip(left, signed, strict=True):
                    self._signatures[row] = signature
        self._kept[list(found)] = False
        whys = list(found.values())
        return self._table(np.array(list(found), np.int64), lambda place, _: whys[place])

    def near_duplicates(self) -> pa.Table:
        """Return the near-duplicates of prompts that are kept."""
        near = self._settings.near_duplicates
        if near is None:
            return DROPPED_PROMPTS.empty_table()
        left = np.flatnonzero(self._kept)
        ids = self._ids.take(pa.array(left)).to_numpy(zero_copy_only=False).astype("S32")
        order = left[np.lexsort((ids, self.ranks[left]))]
        matches, shares = nearest_kept(self._signatures, order, near.similarity)
        self._signatures = np.zeros((0, PERMUTATIONS), np.uint32)
        rows = np.flatnonzero(matches >= 0)
        kept, which = np.unique(matches[rows], return_inverse=True)
        blocks = self._rows.apart().blocks(kept)
        excerpts = [excerpt(text) for _, block in blocks for text in self._texts(block)]

        def why(place: int, _: Row) -> Row:
            same = {
                "match": self._ids[int(matches[rows[place]])].as_py(),
                "match_excerpt": excerpts[which[place]],
            }
            return {"reason": NEAR, **same, "similarity": float(shares[rows[place]])}

        return self._table(rows, why)

    def _table(self, rows: np.ndarray, why: Callable[[int, Row], Row]) -> pa.Table:
        """Return DROPPED_PROMPTS of these rows, to each of which ``why(place, row)`` adds."""
        place, batches = 0, []
        for _, block in self._rows.blocks(rows):
            told: list[Row] = []
            for row, text in zip(block.to_pylist(), self._texts(block), strict=True):
                own = {"copies": 1, "excerpt": excerpt(text)}
                row |= {**own, "place": self._place(row["prompt_id"])}
                told.append({**row, **why(place, row)})
                place += 1
            batches.append(pa.RecordBatch.from_pylist(told, DROPPED_PROMPTS))
        return pa.Table.from_batches(batches, DROPPED_PROMPTS)

    def _texts(self, block: pa.Table | pa.RecordBatch) -> Iterator[str]:
        suffixes = self._settings.suffixes
        of_all = suffixes.get(None, "")
        for prompt, name in zip(prompts_of(block), block["source"].to_pylist(), strict=True):
            yield user_text(prompt, suffixes.get(name, of_all))

    def _place(self, prompt_id: str) -> str:
        split, part = place_of(prompt_id, self._settings, self._seed)
        return f"{split}/{part}" if part else split


def _check_enough(dropped: pa.Table, ranks: np.ndarray, said: str) -> None:
    """Refuse to go on if a part of the prompts that was there is empty now."""
    gone = Counter(dropped["place"].to_pylist())
    there = np.bincount(ranks, minlength=len(PLACES))
    for place, count in zip(PLACES, there.tolist(), strict=True):
        if not count or gone[place] < count:
            continue
        (one,) = dropped.filter(pc.equal(dropped["place"], place)).slice(0, 1).to_pylist()
        raise PersynError(
            f"Cleaning leaves {len(ranks) - len(dropped)} of {len(ranks)} prompts and none in "
            f"{place}; dropped: {said}, such as {one['excerpt'][:60]!r} ({one['reason']}: "
            f"{one['match']}). Add prompts, or loosen what `prepare` drops."
        )
