"""Near-duplicates by MinHash and locality-sensitive hashing (METHOD.md, section 0)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from persyn_kedro.domain.cleaning.ngrams import characters, ngram_hashes
from persyn_kedro.domain.cleaning.texts import folded

PERMUTATIONS = 128  # the estimate of a similarity has a standard error of at most 0.044
FOUND = 0.95  # probability, at least, that a pair at the threshold is compared
IN_A_BUCKET = 100  # kept prompts that a later one is compared with in each, so that time is linear
AT_ONCE = 256


def signatures(texts: Iterable[str], length: int, seed: int) -> Iterator[np.ndarray]:
    """Yield each text's MinHash signature over its n-grams, (PERMUTATIONS,) uint32.

    Args:
        length: characters of an n-gram; a shorter text is one.
        seed: of the permutations.
    """
    from datasketch import MinHash

    waiting = iter(texts)
    while some := list(islice(waiting, AT_ONCE)):
        # 32 of the hash's bits, as datasketch permutes; it mixes them again first.
        sets = ((_hashes(text, length) >> np.uint64(32)).tolist() for text in some)
        found = MinHash.generator(sets, num_perm=PERMUTATIONS, seed=seed, hashfunc=int)
        yield from (sketch.hashvalues for sketch in found)


def _hashes(text: str, length: int) -> np.ndarray:
    return ngram_hashes(characters(folded(text)), length)


def bands(similarity: float) -> tuple[int, int]:
    """Return how many bands of how many rows a signature is cut into.

    Two prompts are compared if they agree in any band. Bands are as long as they can be while a
    pair of this similarity s is compared with a probability 1 - (1 - s^rows)^bands of ``FOUND``.
    """
    for rows in range(PERMUTATIONS, 1, -1):
        count = PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** count >= FOUND:
            return count, rows
    return PERMUTATIONS, 1


def nearest_kept(
    found: np.ndarray, order: Sequence[int] | np.ndarray, similarity: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each prompt the kept one that it is nearly a duplicate of.

    Prompts are taken in ``order``; one is kept unless an earlier one that was kept is as similar
    to it as ``similarity``. So every dropped prompt is similar to a kept one, and nothing but
    ``order`` decides which of two stays.

    Args:
        found: (n, PERMUTATIONS) uint32, signatures.
        order: (n,) the rows, those to keep first.

    Returns:
        (n,) int64, the row of the most similar kept prompt, -1 if this one is kept; and (n,)
        float64, the estimated similarity to it, NaN if kept.
    """
    matches, shares = np.full(len(found), -1), np.full(len(found), np.nan)
    buckets = _shared_buckets(found, *bands(similarity))
    members: dict[int, list[int]] = {}
    least = np.ceil(similarity * PERMUTATIONS - 1e-9)
    for row in order:
        own = buckets[row][buckets[row] >= 0].tolist()
        if not own:
            continue
        near = list(dict.fromkeys(i for bucket in own for i in members.get(bucket, ())))
        if near:
            equal = np.count_nonzero(found[near] == found[row], axis=1)
            best = int(np.argmax(equal))
            if equal[best] >= least:
                matches[row], shares[row] = near[best], equal[best] / PERMUTATIONS
                continue
        for bucket in own:
            kept = members.setdefault(bucket, [])
            if len(kept) < IN_A_BUCKET:
                kept.append(int(row))
    return matches, shares


def _shared_buckets(found: np.ndarray, count: int, rows: int) -> np.ndarray:
    """Return (n, count) int32: the number of a bucket with others in it, -1 if there are none."""
    buckets = np.full((len(found), count), -1, np.int32)
    begin = 0
    for band in range(count):
        part = np.ascontiguousarray(found[:, band * rows : (band + 1) * rows])
        order = np.argsort(keys := _keys(part), kind="stable")
        keys = keys[order]
        new = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
        alone = new & np.r_[new[1:], True][: len(keys)]
        numbers = np.cumsum(new) - 1 + begin
        buckets[order, band] = np.where(alone, -1, numbers)
        begin = int(numbers[-1]) + 1 if len(numbers) else begin
    return buckets


def _keys(part: np.ndarray) -> np.ndarray:
    """Return a 64-bit key of each row."""
    return np.concatenate(
        [
            np.zeros(0, np.uint64),
            *(_row_hashes(part[start : start + 65_536]) for start in range(0, len(part), 65_536)),
        ]
    )


def _row_hashes(part: np.ndarray) -> np.ndarray:
    columns = part.T.astype(np.uint64)
    return ngram_hashes(columns, len(columns))[0]
