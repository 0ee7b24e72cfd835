"""A choice of teachers within limits as a transport problem, and its solution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BLOCK = 32_768  # rows that are worked on at a time


@dataclass(frozen=True)
class Problem:
    """Choose for each of n prompts one of K teachers.

    Attributes:
        values: (n, K) what each choice is worth.
        uses: (n, K) each, what each choice uses of something limited.
        totals: the most that all choices together may use of each.
        most: (K,) the most prompts that a teacher may get; infinite if it has no limit.
    """

    values: np.ndarray
    uses: Sequence[np.ndarray]
    totals: Sequence[float]
    most: np.ndarray

    @cached_property
    def capped(self) -> np.ndarray:
        """The teachers that have a limit."""
        return np.flatnonzero(np.isfinite(self.most))

    @cached_property
    def limits(self) -> np.ndarray:
        """(m,) the limits: of each use, then of each capped teacher."""
        return np.array([*self.totals, *self.most[self.capped]], np.float64)

    @cached_property
    def spread(self) -> float:
        """The largest difference between two teachers' values of a prompt, not 0."""
        rows = range(0, len(self.values), BLOCK)
        return max([float(np.ptp(self.values[r : r + BLOCK], axis=1).max()) for r in rows]) or 1.0

    @cached_property
    def scales(self) -> np.ndarray:
        """(m,) what one prompt uses of each limit, roughly: prices are per this much."""
        means = [float(np.mean(use, dtype=np.float64)) or 1.0 for use in self.uses]
        return np.array([*means, *np.ones(len(self.capped))])

    def sampled(self, step: int) -> "Problem":
        """Return the problem of one in ``step`` prompts, drawn, with their part of the limits."""
        count = len(self.values)
        rows = np.sort(np.random.default_rng(step).permutation(count)[: count // step])
        part = len(rows) / count
        uses, totals = [use[rows] for use in self.uses], [part * t for t in self.totals]
        return Problem(self.values[rows], uses, totals, part * self.most)

    def coefficients(self, rows: Any) -> np.ndarray:
        """Return (m, b, K) what the choices for these prompts use of each limit, scaled."""
        uses = [use[rows].astype(np.float64) for use in self.uses]
        shape = self.values[rows].shape
        alone = [np.broadcast_to(np.eye(shape[1])[k], shape) for k in self.capped]
        found = np.array([*uses, *alone]).reshape(len(self.scales), *shape)
        return found / self.scales[:, None, None]

    def reduced(self, rows: Any, prices: np.ndarray) -> np.ndarray:
        """Return (b, K) the values of these prompts, less the price of what they use."""
        values, used = self.values[rows].astype(np.float64), len(self.uses)
        for price, use in zip((prices / self.scales)[:used], self.uses, strict=True):
            values -= price * use[rows]
        values[:, self.capped] -= prices[used:]
        return values

    def blocks(self) -> Iterator[slice]:
        """Yield all rows, a block at a time."""
        count = len(self.values)
        yield from (slice(a, min(a + BLOCK, count)) for a in range(0, count, BLOCK))


@dataclass(frozen=True)
class Optimum:
    """The best assignment.

    Attributes:
        choices: (n,) the teachers' indices.
        use_prices: of each use, per unit: what a unit more would be worth.
        places: (K,) of each teacher: what a place more would be worth.
        bound: no assignment is worth more than this.
        value: what it is worth.
    """

    choices: np.ndarray
    use_prices: np.ndarray
    places: np.ndarray
    bound: float
    value: float
