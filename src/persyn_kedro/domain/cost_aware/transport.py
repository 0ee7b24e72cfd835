"""The best assignment of prompts to teachers within limits: METHOD.md, section 3, "Limits".

A transport problem: each prompt goes to one teacher; limits are on the sum of what the choices
use, and on how many prompts a teacher gets. A large problem is solved by its Lagrangian dual: a
price for each limit, found on ever larger samples, with HiGHS (scipy) for the few prompts whose
choice the prices leave open.
"""

import numpy as np

from persyn_kedro.domain.cost_aware.problem import Optimum, Problem

OPEN = 500  # prompts, at least, whose choice one linear programme decides
PER_ROOT = 8  # times the root of all prompts: as many lie within the error of a sample's prices
GROWTH = 8  # of the sample from one stage to the next
SPLIT = 8  # prompts that are placed as a whole at the end
DEAREST = 1e9  # times the spread of the values: higher prices mean that limits cannot be kept
EPS = 1e-9  # of the spread: rounding


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
