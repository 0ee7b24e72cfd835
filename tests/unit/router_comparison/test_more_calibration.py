"""What twice the calibration would save: by a curve worked out by hand, and what is said of it."""

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.router_comparison.more_calibration import (
    Spent,
    calibration_spent,
    doubling_words,
    saving_of_doubling,
)
from persyn_kedro.domain.router_comparison.summary import summarise_routers
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.spending import Prices
from persyn_kedro.foundations.tables import schemas


def test_a_curve_of_the_model_is_extrapolated_exactly() -> None:
    sizes = [25.0, 100.0, 400.0]
    means = [0.1 + 0.8 / n**0.5 for n in sizes]  # 0.26, 0.18, 0.14
    losses = np.array(means) + np.array([[-0.1], [0.1]])  # of two prompts
    saving = saving_of_doubling(losses, sizes)
    assert saving is not None and saving.shape == (2,)
    assert saving.mean() == pytest.approx(0.8 / 400**0.5 - 0.8 / 800**0.5)
    assert saving_of_doubling(losses[:, :1], [25.0]) is None
    assert saving_of_doubling(losses[:, :2], [25.0, 25.0]) is None


def test_what_calibration_took_is_counted_from_its_answers() -> None:
    prices = {"a": Prices(10.0, 1.0), "b": Prices()}
    rows = [
        {"teacher": "a", "prompt_tokens": 100, "completion_tokens": 50},
        {"teacher": "b", "prompt_tokens": 10, "completion_tokens": 5},
    ]
    found = calibration_spent(pa.Table.from_pylist(rows, schemas.RESPONSES), prices)
    assert found == Spent(2, 165.0, pytest.approx((100 * 1 + 50 * 10) / 1e6))  # type: ignore[arg-type]


def test_answers_of_a_teacher_that_left_the_pool_are_not_counted() -> None:
    row = {"prompt_tokens": 10, "completion_tokens": 5, "cached_prompt_tokens": None}
    rows = [{**row, "teacher": name} for name in ("left", "stays")]
    prices = {name: Prices(2.0) for name in ("stays", "came")}
    assert calibration_spent(pa.Table.from_pylist(rows), prices) == Spent(1, 15.0, 1e-5)


SPENT = Spent(2000, 300_000.0, 1.5)


def test_it_is_said_from_when_on_it_pays() -> None:
    told = doubling_words("knn", {"value": 0.004, "interval": [0.001, 0.007]}, SPENT)
    assert told == (
        "Twice the calibration prompts (2000 more answers, 300000 tokens, cost 1.50) are expected "
        "to save the knn router 0.0040 [+0.0010, +0.0070] of regret on each routed prompt: that "
        "pays from about 5000 routed prompts on, if 0.01 of reward on a prompt is worth an answer."
    )
    free = Spent(2000, 300_000.0, 0.0)
    told = doubling_words("language_model", {"value": 0.001, "interval": [-0.001, 0.003]}, free)
    assert "300000 tokens) are expected to save the language-model router 0.0010" in told
    assert told.endswith("not shown to be more than nothing, so more calibration is not advised.")


def test_the_verdicts_of_a_comparison_say_it_of_each_router_with_several_sizes() -> None:
    rng = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(200)]
    rewards = rng.random((200, 3))
    rows = []
    for size, noise in ((0.25, 0.8), (1.0, 0.1)):
        scores = rewards + rng.normal(0, noise, rewards.shape)
        rows += [
            {
                "kind": "knn", "size": size, "fitted_on": int(100 * size), "fold": i % 2,
                "prompt_id": p, "scores": scores[i].tolist(),
            }
            for i, p in enumerate(ids)
        ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schemas.ROUTER_SCORES)
    settings = CompareRoutersSettings(resamples=200)
    told = summarise_routers(table, ids, rewards, settings, 0, SPENT)["verdicts"]
    assert len(told) == 2 and told[1].startswith("Twice the calibration prompts (2000 more")
    assert "pays from about" in told[1]
    assert len(summarise_routers(table, ids, rewards, settings, 0)["verdicts"]) == 1
    one = table.filter(pa.compute.equal(table["size"], 1.0))
    assert len(summarise_routers(one, ids, rewards, settings, 0, SPENT)["verdicts"]) == 1
