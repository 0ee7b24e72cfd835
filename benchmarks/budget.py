"""Seconds and memory of choosing teachers within limits, for many prompts and teachers.

    .venv/bin/python benchmarks/budget.py

Scores and prompts' lengths are made up. A budget of half of what routing by score alone would take,
and capacities of the three dearest teachers. Each size runs in its own process; the gap is between
the value of the assignment and the bound of its dual, relative to the value of one prompt.
"""

import multiprocessing
import resource
import time
from typing import Any

import measuring
import numpy as np

from persyn_kedro.domain.cost_aware import Asked, CostModel, weigh
from persyn_kedro.foundations.settings.route import RouteSettings

SIZES = [(10_000, 5), (100_000, 10), (1_000_000, 20)]


def run(size: tuple[int, int]) -> dict[str, Any]:
    """Return seconds, peak memory, and how well the limits are used."""
    count, teachers = size
    draw = np.random.default_rng(0)
    scores = draw.normal(np.linspace(0.4, 0.7, teachers), 0.15, (count, teachers))
    scores = scores.astype(np.float32)
    names = [f"t{k}" for k in range(teachers)]
    costs = CostModel(
        {
            name: {
                "completion": [50.0 * (k + 1), 20.0 * k, 10.0, 4000.0],
                "prompt": [20.0, 0.25],
                "completion_price": 1e-6 * (k + 1),
                "prompt_price": 1e-7 * (k + 1),
            }
            for k, name in enumerate(names)
        }
    )
    sizes = draw.lognormal(5, 0.7, count).astype(np.int32)
    calibration = np.arange(count) % 20 == 0
    asked = Asked(sizes, np.ones(count, bool), calibration, 1, np.ones(teachers))
    alone = scores.argmax(axis=1)
    tokens = np.take_along_axis(costs.cost(sizes, "tokens"), alone[:, None], 1)[:, 0]
    budget = int(0.5 * tokens[~calibration].sum(dtype=np.float64))
    capacity = dict.fromkeys(names[-3:], 0.5 / teachers)
    settings = RouteSettings(budget={"max_tokens": budget}, capacity=capacity)  # type: ignore[arg-type]
    before = time.perf_counter()
    _, note = weigh(scores, asked, costs, None, settings)
    seconds = time.perf_counter() - before
    return {
        "prompts": count,
        "teachers": teachers,
        "seconds": seconds,
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "of the budget": note["expected"]["tokens"] / budget,
        "moved": note["moved"] / count,
        "gap, prompts": note["gap"] / max(1e-12, float(np.ptp(scores, axis=1).mean())),
    }


def main() -> None:
    """Run each size in a process of its own."""
    args = measuring.arguments(__doc__, small={"action": "store_true", "help": "the first size"})
    rows = []
    for size in SIZES[: 1 if args.small else None]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(run, (size,)))
    measuring.report("budget", rows)


if __name__ == "__main__":
    main()
