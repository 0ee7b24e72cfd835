"""Overlap of prompts with the prompts of test sets, in word n-grams (METHOD.md, section 0)."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from persyn_kedro.domain.cleaning.ngrams import ngram_hashes
from persyn_kedro.domain.cleaning.texts import excerpt, folded, words_of
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.cleaning import OverlapSettings


class Question(NamedTuple):
    """A question of a test set: the set's name, the row's number from 1, and the text."""

    name: str
    row: int
    text: str


class Overlap(NamedTuple):
    """The test prompt that a prompt overlaps with most, and the share of its words that it has."""

    match: str
    match_excerpt: str
    share: float


class OverlapIndex:
    """An index of test prompts' n-grams, 16 bytes each, and of the texts too short to have any."""

    def __init__(self, items: Iterable[Question], settings: OverlapSettings) -> None:
        self._settings = settings
        self._codes: dict[str, int] = {}  # of the test prompts' words; others are 0
        self._shown: list[tuple[str, str]] = []
        self._short: dict[str, int] = {}
        lengths: list[int] = []
        hashes = [np.zeros(0, np.uint64)]
        for number, item in enumerate(items):
            words = words_of(item.text)
            self._shown.append((f"{item.name}, row {item.row}", excerpt(item.text)))
            lengths.append(len(words))
            if len(words) < settings.words:
                self._short.setdefault(folded(item.text), number)
                hashes.append(np.zeros(0, np.uint64))
                continue
            self._codes.update((w, int(text_id(w)[:16], 16)) for w in words if w not in self._codes)
            hashes.append(self._hashes(words))
        counts = [len(found) for found in hashes[1:]]
        self._lengths = np.array(lengths, np.int64)
        every = np.concatenate(hashes)
        order = np.argsort(every, kind="stable")
        self._sorted = every[order]
        self._items = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        places = [np.arange(count, dtype=np.int32) for count in counts]
        self._places = np.concatenate([np.zeros(0, np.int32), *places])[order]

    def __len__(self) -> int:
        return len(self._shown)

    def overlap(self, text: str) -> Overlap | None:
        """Return the test prompt that makes this text contaminated, None if none does.

        It is the one of which the text has the largest share of words in common n-grams. A test
        prompt with too few words for an n-gram counts only as a whole: in other case and spacing.
        """
        same = self._short.get(folded(text))
        if same is not None:
            return Overlap(*self._shown[same], 1.0)
        words = words_of(text)
        if len(words) < self._settings.words or not len(self._sorted):
            return None
        wanted = np.unique(self._hashes(words))
        begin, end = (np.searchsorted(self._sorted, wanted, side) for side in ("left", "right"))  # type: ignore[call-overload]
        if not (counts := end - begin).any():
            return None
        hits = np.repeat(end - counts.cumsum(), counts) + np.arange(counts.sum())
        items, shares = self._covered(self._items[hits], self._places[hits])
        best = int(np.argmax(shares))
        if shares[best] < self._settings.share - 1e-9:
            return None
        return Overlap(*self._shown[int(items[best])], float(shares[best]))

    def _covered(self, items: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the test prompts hit, and the share of each one's words in the n-grams hit.

        Args:
            items, places: (h,) the test prompt of each n-gram hit, and where in it that begins.
        """
        order = np.lexsort((places, items))
        items, places = items[order], places[order].astype(np.int64)
        last = np.r_[items[1:] != items[:-1], True]
        gap = np.r_[places[1:] - places[:-1], 0]
        new = np.where(last, self._settings.words, np.minimum(gap, self._settings.words))
        first = np.flatnonzero(np.r_[True, last[:-1]])
        return items[first], np.add.reduceat(new, first) / self._lengths[items[first]]

    def _hashes(self, words: list[str]) -> np.ndarray:
        codes = np.array([self._codes.get(word, 0) for word in words], np.uint64)
        return ngram_hashes(codes, self._settings.words)
