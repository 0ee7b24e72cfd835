"""How often compare's intervals cover the true difference, on made-up students.

    .venv/bin/python benchmarks/coverage.py

A student is right on a prompt with a probability whose logit is the sum of the strategy's merit,
the prompt's ease, what the strategy is worth on that prompt, and the training's luck (``luck``, its
standard deviation; 0.2 are about 4 points of accuracy; with a range, it differs between the
strategies). Eight strategies are compared with PerSyn.
Each row is ``--draws`` comparisons at nominal 95 %:

- with seeds: the interval that verdicts are read from; its truth is the mean over other prompts and
  other trainings.
- these students: the bootstrap over prompts; its truth is the mean over other prompts.
- all 8: how often the eight strategies' intervals with seeds cover together, pointwise (each at
  95 %) and simultaneous (at the level of ``compare.intervals: simultaneous``).
"""

import argparse

import numpy as np

from persyn_kedro.domain.intervals import (
    Luck,
    certainty,
    common_luck,
    joint_level_of_differences,
    mean_over_prompts,
)

CONFIDENCE, RESAMPLES = 0.95, 400
BASE, MERIT = -0.5, 0.3  # logits: of PerSyn's students, and what the others are better by
EASE, FIT = 1.2, 0.8  # standard deviations, in logits, of prompts, and of strategies on prompts
STRATEGIES = 8
LUCKS = ((0.0, 0.0), (0.2, 0.0), (0.5, 0.0), (0.2, 0.5))  # and how unequal it is
COLUMNS = (
    "seeds", "prompts", "luck", "with seeds", "these students", "all 8, pointwise",
    "all 8, simultaneous",
)  # fmt: skip


def accuracy(merit: np.ndarray | float, spread: float) -> np.ndarray:
    """Return the mean over a normal logit of this standard deviation, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    logits = BASE + np.asarray(merit)[..., None] + spread * nodes
    return (weights / (1 + np.exp(-logits))).sum(axis=-1) / weights.sum()


def covered(
    seeds: int, prompts: int, luck: float, unequal: float, rng: np.random.Generator
) -> list[bool]:
    """Return whether each of the four covers, in one comparison."""
    merits = np.r_[0.0, np.full(STRATEGIES, MERIT)]
    spreads = luck * rng.permutation(np.linspace(1 - unequal, 1 + unequal, 1 + STRATEGIES))
    lucks = spreads[:, None] * rng.normal(size=(1 + STRATEGIES, seeds))
    ease = EASE * rng.normal(size=prompts) + FIT * rng.normal(size=(1 + STRATEGIES, 1, prompts))
    chances = 1 / (1 + np.exp(-(BASE + (merits[:, None] + lucks)[..., None] + ease)))
    right = (rng.random(chances.shape) < chances).astype(float)
    pairs, draw = right[1:] - right[0], int(rng.integers(2**31))
    of_prompts = np.hypot(EASE, FIT)
    means = [
        float(accuracy(m, np.hypot(of_prompts, s))) for m, s in zip(merits, spreads, strict=True)
    ]
    truths = np.array(means[1:]) - means[0]
    own = accuracy(merits[:2, None] + lucks[:2], of_prompts).mean(axis=1)
    boot = mean_over_prompts(pairs[0].mean(axis=0), RESAMPLES, CONFIDENCE, draw)
    named = {str(place): scores for place, scores in enumerate(right)}
    references = {name: "0" for name in named if name != "0"}
    level = joint_level_of_differences(named, references, RESAMPLES, CONFIDENCE, draw)
    alone = _cover(pairs, CONFIDENCE, truths)
    return [
        bool(alone[0]),
        boot is not None and boot.low <= own[1] - own[0] <= boot.high,
        bool(alone.all()),
        bool(_cover(pairs, level, truths, common_luck(list(right))).all()),
    ]


def _cover(
    pairs: np.ndarray, level: float, truths: np.ndarray, luck: Luck | None = None
) -> np.ndarray:
    found = [certainty(own, level, luck) for own in pairs]
    return np.array(
        [one is not None and one.low <= t <= one.high for one, t in zip(found, truths, strict=True)]
    )


def main() -> None:
    """Print a row for each setting, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--prompts", type=int, nargs="+", default=[100, 400])
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for seeds in arguments.seeds:
        for prompts in arguments.prompts:
            for luck, unequal in LUCKS:
                rng = np.random.default_rng((seeds, prompts, round(10 * luck), round(10 * unequal)))
                draws = range(arguments.draws)
                found = [covered(seeds, prompts, luck, unequal, rng) for _ in draws]
                said = f"{luck:g}"
                if unequal:
                    said = f"{luck * (1 - unequal):g} to {luck * (1 + unequal):g}"
                cells = [str(seeds), str(prompts), said]
                cells += [f"{100 * share:.1f} %" for share in np.mean(found, axis=0)]
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
