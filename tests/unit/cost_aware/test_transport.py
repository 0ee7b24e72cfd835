"""The best assignment within limits, against an integer programme of the whole problem."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from persyn_kedro.domain.cost_aware import transport
from persyn_kedro.domain.cost_aware.problem import Problem
from persyn_kedro.domain.cost_aware.transport import best_assignment


def by_programme(problem: Problem) -> float | None:
    """Return the value of the best whole assignment by HiGHS's branch and bound."""
    n, k = problem.values.shape
    constraints = [LinearConstraint(np.kron(np.eye(n), np.ones(k)), 1, 1)]
    for use, total in zip(problem.uses, problem.totals, strict=True):
        constraints.append(LinearConstraint(use.reshape(1, -1), ub=total))
    for teacher in problem.capped:
        mask = np.tile(np.eye(k)[teacher], n)[None]
        constraints.append(LinearConstraint(mask, ub=problem.most[teacher]))
    found = milp(
        -problem.values.ravel(),
        integrality=np.ones(n * k),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    return None if found.x is None else -found.fun


def made_up(seed: int, n: int, k: int, budget: float | None, capped: int) -> Problem:
    draw = np.random.default_rng(seed)
    values, use = draw.normal(size=(n, k)), draw.uniform(1, 100, (n, k))
    most = np.full(k, np.inf)
    most[:capped] = draw.integers(0, n + 1, capped)
    if budget is None:
        return Problem(values, [], [], most)
    low, high = use.min(axis=1).sum(), use.max(axis=1).sum()
    return Problem(values, [use], [float(low + (budget - 0.05) * (high - low))], most)


def value_of(problem: Problem, choices: np.ndarray) -> float:
    return float(problem.values[np.arange(len(choices)), choices].sum())


def check_limits(problem: Problem, choices: np.ndarray) -> None:
    for use, total in zip(problem.uses, problem.totals, strict=True):
        assert use[np.arange(len(choices)), choices].sum() <= total * (1 + 1e-8)
    counts = np.bincount(choices, minlength=len(problem.most))
    assert (counts <= problem.most).all()


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.integers(2, 4),
    st.none() | st.floats(0, 1),
    st.integers(0, 2),
)
def test_small_assignments_are_the_best(
    seed: int, n: int, k: int, budget: float | None, capped: int
) -> None:
    problem = made_up(seed, n, k, budget, capped)
    found, best = best_assignment(problem), by_programme(problem)
    if best is None:
        assert found is None
        return
    assert found is not None
    check_limits(problem, found.choices)
    assert found.value == pytest.approx(value_of(problem, found.choices))
    assert found.value == pytest.approx(best, abs=1e-7)
    assert found.bound >= best - 1e-6


@pytest.mark.parametrize(("budget", "capped"), [(0.3, 0), (None, 2), (0.4, 2)])
def test_a_sampled_problem_reaches_its_bound(
    budget: float | None, capped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In stages and with few open prompts: the value is that of the linear programme's bound."""
    monkeypatch.setattr(transport, "OPEN", 40)
    monkeypatch.setattr("persyn_kedro.domain.cost_aware.problem.BLOCK", 300)
    problem = made_up(5, 3000, 5, budget, 0)
    problem.most[3:] = 200 if capped else np.inf
    found = best_assignment(problem)
    assert found is not None
    check_limits(problem, found.choices)
    assert 0 <= found.bound - found.value + 1e-6 < (0.1 if budget else 1e-5)
    if budget:
        assert found.use_prices[0] > 0
    assert (found.places[3:] > 0).all() == bool(capped)
    assert (found.places[:3] == 0).all()


def test_without_limits_each_prompt_gets_its_best() -> None:
    problem = made_up(1, 50, 4, None, 0)
    found = best_assignment(problem)
    assert found is not None
    assert (found.choices == problem.values.argmax(axis=1)).all()
    assert found.value == pytest.approx(found.bound)


def test_a_price_is_what_a_unit_more_would_be_worth() -> None:
    """Three prompts, two teachers; the dear one gains 3, 2, 1 for a cost of 1 each."""
    values = np.array([[3.0, 0], [2, 0], [1, 0]])
    use = np.array([[1.0, 0]] * 3)
    found = best_assignment(Problem(values, [use], [1.5], np.full(2, np.inf)))
    assert found is not None
    assert found.choices.tolist() == [0, 1, 1]  # the second would be split
    assert found.use_prices.tolist() == [pytest.approx(2)]
    assert found.bound == pytest.approx(4)
    assert found.value == 3
