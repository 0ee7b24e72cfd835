"""Hashes of all n-grams of a sequence, in one pass over it."""

import numpy as np

_BASE = 0x9E3779B97F4A7C15  # odd: its powers are invertible modulo 2^64
_MIX = np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's 64-bit finaliser


def ngram_hashes(codes: np.ndarray, length: int) -> np.ndarray:
    """Return a 64-bit hash of each run of ``length`` codes.

    Args:
        codes: (m, …) uint64, one for each word or character; of several sequences, side by side.

    Returns:
        (m - length + 1, …) uint64; of fewer codes, one hash of them all.
    """
    length = min(length, len(codes))
    count = len(codes) - length + 1
    sums = np.zeros((count, *codes.shape[1:]), np.uint64)
    for place in range(length):
        sums += codes[place : place + count] * np.uint64(pow(_BASE, place + 1, 2**64))
    sums ^= sums >> np.uint64(33)
    return sums * _MIX


def characters(text: str) -> np.ndarray:
    """Return the code points of a text, (m,) uint64."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
