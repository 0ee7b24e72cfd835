"""Which keys were there before, in 16 bytes a key."""

import hashlib
from collections.abc import Sequence

import numpy as np


class SeenKeys:
    """Remembers the 128-bit hashes of keys, and so takes no more than that, whatever the keys are.

    The hashes lie in sorted runs, each over twice as long as the next: a run is joined to the one
    before it as soon as it is not, so that n keys are moved log n times.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def known(self, keys: Sequence[str]) -> np.ndarray:
        """Tell for each key, as (n,) bool, whether an earlier call had it; remember all of them."""
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
