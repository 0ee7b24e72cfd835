"""Limits are those of the prompts that get an answer: what route.focus leaves out takes no room."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.cost_aware import CostModel, lacking_answers, weigh
from persyn_kedro.domain.prompts import CALIBRATION, passed_over, select_ids
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings import limits_those_left
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import RouteSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.route.nodes import counted_prompts
from tests.support.tables import dataset

IDS = [text_id(f"p{i}") for i in range(10)]
WHY = ["kept", "solved", "off_frontier", "later_round"]
LINE = {"prompt": [1.0, 0.0], "completion_price": 0.0, "prompt_price": 0.0}
COSTS = CostModel(
    {name: {**LINE, "completion": [n, 0.0, n, n]} for name, n in (("dear", 99.0), ("cheap", 9.0))}
)


def chosen(why: list[str], settings: RouteSettings) -> np.ndarray:
    """Return the choices of ten train prompts, each worth more with the dear teacher."""
    rows = [{"prompt_id": p, "prompt": "x"} for p in IDS]
    prompts = [{"prompt_id": p, "split": "train", "part": "sft"} for p in IDS]
    focus = [{"prompt_id": p, "why": w} for p, w in zip(IDS, why, strict=True)]
    pool: Any = SimpleNamespace(root=dict.fromkeys(COSTS.teachers, SimpleNamespace(samples=1)))
    table = dataset(prompts, schemas.PROMPTS)
    asked = lacking_answers(
        dataset(rows, schemas.SOURCE_PROMPTS),
        counted_prompts(table, passed_over(dataset(focus, schemas.FOCUS))),
        select_ids(table, CALIBRATION)["prompt_id"],
        dataset([], schemas.RESPONSES),
        pool,
        1,
    )
    gains = np.linspace(0.1, 1.0, 10)
    scores = np.stack([gains, np.zeros(10)], axis=1).astype(np.float32)
    return weigh(scores, asked, COSTS, None, settings)[0].argmax(axis=1)


def test_a_capacity_is_a_share_of_the_prompts_that_are_answered() -> None:
    settings = RouteSettings(capacity={"dear": 0.5})
    everything = chosen(["kept"] * 10, settings)
    assert everything.tolist() == [1] * 5 + [0] * 5
    # The six of the highest gain are left out: half of the other four, and none of the gone ones.
    why = ["kept"] * 4 + ["solved"] * 3 + ["off_frontier"] * 3
    assert chosen(why, settings)[:4].tolist() == [1, 1, 0, 0]
    # Those of a later round will be answered.
    assert chosen(["kept"] * 4 + ["later_round"] * 6, settings).tolist() == everything.tolist()


def test_a_budget_is_spent_on_the_prompts_that_are_answered() -> None:
    budget = RouteSettings(budget={"max_tokens": 2 * 100 + 2 * 10})
    why = ["kept"] * 4 + ["solved"] * 6
    assert chosen(why, budget)[:4].tolist() == [1, 1, 0, 0]


def test_routing_reads_who_is_left_out_only_where_limits_depend_on_it() -> None:
    focus = {"keep": "failed"}
    limited = RouteSettings(capacity={"dear": 0.5}, focus=focus)
    assert limits_those_left([limited, RoundsSettings()])
    assert not limits_those_left([RouteSettings(focus=focus)])
    assert not limits_those_left([RouteSettings(capacity={"dear": 0.5}), RoundsSettings(count=2)])


def test_passed_over_are_those_left_out_for_their_pass_rate() -> None:
    rows = [{"prompt_id": p, "why": w} for p, w in zip(IDS, WHY, strict=False)]
    assert passed_over(dataset(rows, schemas.FOCUS)) == pa.array(IDS[1:3])
