"""Which keys occurred before, in 16 bytes per key."""

import hashlib
from collections.abc import Sequence

import numpy as np


class SeenKeys:
    """Remembers the 128-bit hashes of keys, so its size does not depend on their length.

    The hashes lie in sorted runs, each more than twice as long as the next: a run that is not is
    merged into the one before it, so n keys are moved log n times.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def known(self, keys: Sequence[str]) -> np.ndarray:
        """Return for each key, as (n,) bool, whether an earlier call had it; remember all keys."""
        hashes = _hashes(keys)
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            found |= run[places] == hashes
        self._remember(np.unique(hashes[~found]))
        return found

    def _remember(self, run: np.ndarray) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)


def _hashes(keys: Sequence[str]) -> np.ndarray:
    digests = (hashlib.blake2b(key.encode(), digest_size=16).digest() for key in keys)
    return np.frombuffer(b"".join(digests), dtype="S16")
