"""How much of the rewards' variance is sampling noise, by hand and by scipy's one-way ANOVA."""

from statistics import mean, stdev
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import f_oneway

from persyn_kedro.domain.rewards.noise import sampling_noise, spread_within
from persyn_kedro.foundations.tables import schemas


def rewards_of(prompts: list[dict[str, list[float]]]) -> pa.Table:
    """Return the rewards table of each prompt's ``{teacher: rewards of its samples}``."""
    rows: list[dict[str, Any]] = [
        {
            "prompt_id": f"p{i}",
            "teacher": teacher,
            "reward": mean(own) if own else None,
            "valid": bool(own),
            "valid_samples": len(own),
            "reward_sd": stdev(own) if len(own) > 1 else None,
        }
        for i, answers in enumerate(prompts)
        for teacher, own in answers.items()
    ]
    return pa.Table.from_pylist(rows, schemas.REWARDS)


def noise_of(prompts: list[dict[str, list[float]]]) -> dict[str, Any]:
    found = sampling_noise(rewards_of(prompts))
    assert found is not None
    return found


def test_a_worked_example() -> None:
    # Means 0.2 and 0.6, grand mean 0.4. Between: 2 (0.04 + 0.04) = 0.16 with 1 degree of freedom;
    # within: 4 · 0.01 = 0.04 with 2. So MSB = 0.16, MSW = 0.02; the variance between is
    # (0.16 - 0.02) / 2 = 0.07; the noise of a mean of two is 0.01: 0.01 / 0.08 = 1/8 = MSW / MSB.
    prompts = [{"a": [0.1, 0.3], "b": [0.5, 0.7]}]
    found = noise_of(prompts)
    assert found["prompts"] == 1
    assert found["within"] == pytest.approx(0.02**0.5)
    assert found["between"] == pytest.approx(0.07**0.5)
    assert found["share"] == pytest.approx(1 / 8)
    assert found["share_of_one"] == pytest.approx(0.02 / 0.09)
    spread = spread_within(rewards_of(prompts), ["a", "b", "c"])
    assert spread == pytest.approx({"a": 0.02**0.5, "b": 0.02**0.5, "c": None})


def test_the_share_is_one_over_scipys_f() -> None:
    draw = np.random.default_rng(3)
    answers = {t: list(draw.normal(k, 1, 5)) for k, t in enumerate("abc")}
    f = f_oneway(*answers.values()).statistic
    assert noise_of([answers])["share"] == pytest.approx(1 / f)


def test_prompts_are_pooled_by_their_degrees_of_freedom() -> None:
    # The first prompt's sums of squares: between 0.16 (1), within 0.04 (2). The second's, with
    # means 0 and 0.3 of 1 and 3 answers, grand mean 0.225: between 0.225² + 3 · 0.075² = 0.0675
    # (1), within 2 · 0.01 (2). MSB = 0.11375, MSW = 0.015; n0 = (2 + (4 - 10/4)) / 2 = 1.75.
    prompts = [{"a": [0.1, 0.3], "b": [0.5, 0.7]}, {"a": [0.0], "b": [0.2, 0.3, 0.4]}]
    found = noise_of(prompts)
    between = (0.11375 - 0.015) / 1.75
    noise = 0.015 * (1 / 2 + 1 / 2 + 1 + 1 / 3) / 4
    assert found["prompts"] == 2
    assert found["between"] ** 2 == pytest.approx(between)
    assert found["share"] == pytest.approx(noise / (noise + between))
    spread = spread_within(rewards_of(prompts), ["b"])["b"] or 0.0
    assert spread**2 == pytest.approx((0.02 + 0.02) / 3)


def test_teachers_no_further_apart_than_chance_are_all_noise() -> None:
    found = noise_of([{"a": [0.0, 1.0], "b": [1.0, 0.0]}])
    assert (found["between"], found["share"]) == (0.0, 1.0)
    still = noise_of([{"a": [0.5, 0.5], "b": [0.5, 0.5]}])
    assert (still["within"], still["between"], still["share"]) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    "prompts",
    [
        [],
        [{"a": [0.1], "b": [0.5]}],  # one answer each
        [{"a": [0.1, 0.2], "b": []}],  # only one valid teacher
    ],
)
def test_nothing_is_said_without_repeats_to_compare(prompts: list[dict[str, list[float]]]) -> None:
    assert sampling_noise(rewards_of(prompts)) is None


def test_the_estimate_finds_the_variances_that_rewards_were_drawn_from() -> None:
    draw = np.random.default_rng(5)
    prompts = [
        {t: list(draw.normal(draw.normal(0, 0.3), 0.4, 4)) for t in "abc"} for _ in range(2000)
    ]
    found = noise_of(prompts)
    assert found["within"] == pytest.approx(0.4, rel=0.02)
    assert found["between"] == pytest.approx(0.3, rel=0.05)
    assert found["share"] == pytest.approx(0.04 / (0.04 + 0.09), rel=0.1)
