"""The best assignment of prompts to teachers within limits: METHOD.md, section 3, "Limits".

A transport problem: each prompt goes to one teacher; limits are on the sum of what the choices
use, and on how many prompts a teacher gets. A large problem is solved by its Lagrangian dual: a
price for each limit, found on ever larger samples, with HiGHS (scipy) for the few prompts whose
choice the prices leave open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BLOCK = 32_768  # rows that are worked on at a time
OPEN = 500  # prompts, at least, whose choice one linear programme decides
PER_ROOT = 8  # times the root of all prompts: as many lie within the error of a sample's prices
GROWTH = 8  # of the sample from one stage to the next
SPLIT = 8  # prompts that are placed as a whole at the end
DEAREST = 1e9  # times the spread of the values: higher prices mean that limits cannot be kept
EPS = 1e-9  # of the spread: rounding


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


def best_assignment(problem: Problem) -> Optimum | None:
    """Return the best assignment, or None if there is none within the limits.

    With limits on places alone it is exact. Otherwise at most one prompt per limit would be split
    between teachers at the optimum, and those are placed as a whole, the best way that fits.
    """
    count = len(problem.values)
    step = 1
    while count // step > OPEN // 2:
        step *= GROWTH
    prices = np.zeros(len(problem.limits))
    while True:
        stage = problem.sampled(step) if step > 1 else problem
        found = _Stage(stage, prices).solve(whole=step == 1)
        if found is None and step == 1:
            return None
        prices = prices if found is None else found[1]
        if step == 1 and found is not None:
            return _optimum(problem, *found)
        step //= GROWTH


def _optimum(problem: Problem, choices: np.ndarray, prices: np.ndarray) -> Optimum:
    per_unit = prices / problem.scales
    used, places = len(problem.uses), np.zeros(problem.values.shape[1])
    places[problem.capped] = per_unit[used:]
    best = sum(float(problem.reduced(b, prices).max(axis=1).sum()) for b in problem.blocks())
    bound = best + float(per_unit @ problem.limits)
    value = sum(
        float(np.take_along_axis(problem.values[b], choices[b, None].astype(int), 1).sum())
        for b in problem.blocks()
    )
    return Optimum(choices, per_unit[:used], places, bound, value)


class _Stage:
    """One sample's linear programme, by column generation.

    Only some prompts are open, each with some options; the others keep the choice that is best at
    the prices. An option that the new prices make better than what is in the programme is added,
    until there is none: then the solution is the optimum of the whole programme.
    """

    def __init__(self, problem: Problem, prices: np.ndarray) -> None:
        self._problem, self._prices = problem, prices
        count, teachers = problem.values.shape
        self._choices = np.empty(count, np.int16)
        gaps = np.empty(count)
        for block in problem.blocks():
            values = problem.reduced(block, prices)
            self._choices[block] = values.argmax(axis=1)
            gaps[block] = np.diff(np.partition(values, -2, axis=1)[:, -2:], axis=1)[:, 0]
        nearest = np.argsort(gaps, kind="stable")[: max(OPEN, round(PER_ROOT * count**0.5))]
        self._rows = np.sort(nearest)
        if count <= OPEN:
            self._far = 100 * problem.spread
            self._options = np.ones((count, teachers), bool)
        else:
            values = problem.reduced(self._rows, prices)
            self._far = gaps[nearest[-1]] or problem.spread
            self._options = values >= values.max(axis=1, keepdims=True) - self._far

    def solve(self, whole: bool) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the (n,) choices and the (m,) prices, or None if the limits cannot be kept.

        Prices move at most by ``far`` at a time, so that few options are worth adding.

        Args:
            whole: whether no prompt may be split; otherwise the choices mean nothing.
        """
        far = self._far
        while True:
            low, high = np.maximum(self._prices - far, 0), self._prices + far
            shares, prices, stopped = self._programme(low, high)
            if self._add_options(prices):
                continue
            if not stopped:
                break
            self._prices, far = prices, 4 * far
            if far > DEAREST * self._problem.spread:
                return None
        if not whole:
            return self._choices, prices
        placed = self._place(shares, prices)
        return None if placed is None else (placed, prices)

    def _programme(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return the (f, K) shares of the open prompts, the prices, and whether one was stopped.

        Args:
            low: (m,) the lowest prices; what is left of a limit can be sold for this.
            high: (m,) the highest; for this a limit may be exceeded.
        """
        from scipy.optimize import linprog
        from scipy.sparse import csr_array, eye_array, hstack

        problem, limits = self._problem, len(low)
        places, teachers = np.nonzero(self._options)
        uses = problem.coefficients(self._rows)[:, places, teachers]
        one = csr_array((np.ones(len(places)), (places, np.arange(len(places)))))
        values = problem.values[self._rows].astype(np.float64)[places, teachers]
        trade = eye_array(limits)
        result = linprog(
            np.concatenate([-values, high, -low]),
            A_ub=hstack([csr_array(uses), -trade, trade]),
            b_ub=self._left(self._rows),
            A_eq=hstack([one, csr_array((len(self._rows), 2 * limits))]),
            b_eq=np.ones(len(self._rows)),
            method="highs-ds",
        )
        if result.x is None:  # cannot be: there is always a solution
            raise RuntimeError(f"HiGHS failed: {result.message}")
        shares = np.zeros(self._options.shape)
        shares[places, teachers] = result.x[: len(places)]
        bought, sold = np.split(result.x[len(places) :], 2)
        stopped = max(bought.sum(), sold[low > 0].sum()) > EPS * max(1, len(self._choices))
        return shares, np.maximum(-result.ineqlin.marginals, 0), stopped

    def _left(self, rows: np.ndarray) -> np.ndarray:
        """Return (m,) what the choices for all other prompts leave of the limits, scaled."""
        problem, others = self._problem, np.ones(len(self._choices), bool)
        others[rows] = False
        total, count = np.zeros(len(problem.uses)), problem.values.shape[1]
        for block in problem.blocks():
            own = self._choices[block, None].astype(int)
            for place, use in enumerate(problem.uses):
                chosen = np.take_along_axis(use[block], own, 1)[:, 0]
                total[place] += chosen.astype(np.float64) @ others[block]
        given = np.bincount(self._choices[others], minlength=count)[problem.capped]
        return (problem.limits - np.concatenate([total, given])) / problem.scales

    def _add_options(self, prices: np.ndarray) -> bool:
        """Add the options that are better at these prices; return whether there are any."""
        problem, place = self._problem, np.full(len(self._choices), -1)
        place[self._rows] = np.arange(len(self._rows))
        rows, options = [], []
        for block in problem.blocks():
            values, own = problem.reduced(block, prices), place[block]
            allowed = np.zeros(values.shape, bool)
            allowed[np.arange(len(own)), self._choices[block]] = True
            allowed[own >= 0] = self._options[own[own >= 0]]
            top = np.where(allowed, values, -np.inf).max(axis=1, keepdims=True)
            better = values > top + 1e-7 * problem.spread
            found = np.flatnonzero(better.any(axis=1))
            rows.append(found + block.start)
            options.append(allowed[found] | better[found])
        new, masks = np.concatenate(rows), np.concatenate(options)
        known = place[new] >= 0
        self._options[place[new[known]]] = masks[known]
        self._rows = np.concatenate([self._rows, new[~known]])
        self._options = np.concatenate([self._options, masks[~known]])
        return len(new) > 0

    def _place(self, shares: np.ndarray, prices: np.ndarray) -> np.ndarray | None:
        """Return the choices with every split prompt placed as a whole, the best way that fits.

        With those that are split, some of the nearest others are placed anew: more of them until
        they fit.
        """
        choices = self._choices.copy()
        choices[self._rows] = shares.argmax(axis=1)
        split = self._rows[shares.max(axis=1) < 1 - 1e-6]
        if not len(split):
            return choices
        gaps = np.diff(np.sort(self._problem.reduced(self._rows, prices), axis=1)[:, -2:])[:, 0]
        gaps[np.isin(self._rows, split)] = -1
        nearest = self._rows[np.argsort(gaps, kind="stable")]
        count = max(SPLIT, len(split))
        while True:
            rows = nearest[:count]
            self._choices = choices
            found = _whole(self._problem, rows, self._left(rows))
            if found is not None:
                choices[rows] = found
                return choices
            if count >= len(nearest):
                return None
            count *= 4


def _whole(problem: Problem, rows: np.ndarray, left: np.ndarray) -> np.ndarray | None:
    """Return the (b,) best choices for a few prompts that keep within what is left, if any."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    values = problem.values[rows].astype(np.float64)
    one = np.kron(np.eye(len(rows)), np.ones(values.shape[1]))
    uses = problem.coefficients(rows).reshape(len(left), -1)
    slack = EPS * np.maximum(1, np.abs(left))
    result = milp(
        -values.ravel(),
        integrality=np.ones(values.size),
        bounds=Bounds(0, 1),
        constraints=[LinearConstraint(one, 1, 1), LinearConstraint(uses, ub=left + slack)],
        options={"mip_rel_gap": 0.0, "node_limit": 10_000, "presolve": False},
    )
    return None if result.x is None else result.x.reshape(values.shape).argmax(axis=1)
