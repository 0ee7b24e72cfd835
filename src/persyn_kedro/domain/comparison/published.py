"""A comparison as a few small tables, from which its figures are computed again without a model.

``docs/results.py`` does that for what lies in ``docs/data``. The tables, all as Parquet:

- ``prompts``: ``prompt_id``, ``split`` and ``source`` of every prompt.
- ``answers``: the calibration answers' quality, learnability, reward, validity and tokens.
- ``router_scores``: ``schemas.ROUTER_SCORES``.
- ``choices``: the first teacher of every prompt by ``strategy``, and what its answers took, null
  where the strategy did not take the prompt (``equal_tokens``).
- ``examples``: which answers each strategy's students were trained on, by ``response_key``, and
  their tokens: fewer than the prompt took where other answers were not usable.
- ``tokens``: ``schemas.STRATEGY_TOKENS``.
- ``trials``: each student's ``quality`` and ``completion_tokens`` on each test prompt.

No text of a prompt or an answer is among them.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.comparison.report import TrainingSets, build_comparison
from persyn_kedro.domain.comparison.strategies.allocation import PERSYN
from persyn_kedro.domain.comparison.strategies.costs import price_strategies
from persyn_kedro.domain.rewards.reward import fair_matrix
from persyn_kedro.domain.router_comparison.more_calibration import Spent
from persyn_kedro.domain.router_comparison.summary import summarise_routers
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.settings.experiments import CompareRoutersSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.spending import Prices

VERSION = 2  # raise it when the same inputs give another result

TABLES = ("prompts", "answers", "router_scores", "choices", "examples", "tokens", "trials")
COMPARE = ("resamples", "confidence", "intervals", "examples", "variants")  # what figures hang on
COMPARE_ROUTERS = ("resamples", "confidence")
_TOKENS = ["prompt_tokens", "completion_tokens", "cached_prompt_tokens"]
_REWARDS = ["prompt_id", "teacher", "response_key", "quality", "learnability", "reward", "valid"]


def published_answers(rewards: pa.Table, responses: pa.Table) -> pa.Table:
    """Return the calibration answers' rewards with what they took.

    An incomplete design stays noted in the table.

    Args:
        rewards: ``schemas.REWARDS``.
        responses: ``schemas.RESPONSES``; of several answers the tokens are summed.
    """
    used = responses.group_by(["prompt_id", "teacher"]).aggregate([(n, "sum") for n in _TOKENS])
    spent = {
        (row["prompt_id"], row["teacher"]): [row[f"{name}_sum"] or 0 for name in _TOKENS]
        for row in used.to_pylist()
    }
    table = rewards.select(_REWARDS)
    keys = zip(table["prompt_id"].to_pylist(), table["teacher"].to_pylist(), strict=True)
    counts = [spent.get(key, [0] * len(_TOKENS)) for key in keys]
    for place, name in enumerate(_TOKENS):
        table = table.append_column(name, pa.array([own[place] for own in counts], pa.int64()))
    return table.drop_columns(["response_key"])


def published_choices(allocations: pa.Table, taken: pa.Table) -> pa.Table:
    """Return each strategy's first choices.

    Args:
        allocations: ``schemas.ALLOCATIONS``.
        taken: ``schemas.STRATEGY_PROMPTS``.
    """
    spent = {(row["strategy"], row["prompt_id"]): row for row in taken.to_pylist()}
    rows = [
        {
            "strategy": row["strategy"],
            "prompt_id": row["prompt_id"],
            "teacher": row["choices"][0],
            **{
                name: spent.get((row["strategy"], row["prompt_id"]), {}).get(name)
                for name in ("completion_tokens", "added_tokens")
            },
        }
        for row in allocations.to_pylist()
    ]
    texts = [(name, pa.string()) for name in ("strategy", "prompt_id", "teacher")]
    counts = [(name, pa.int64()) for name in ("completion_tokens", "added_tokens")]
    return pa.Table.from_pylist(rows, pa.schema([*texts, *counts]))


def published_examples(examples: pa.Table, responses: pa.Table) -> pa.Table:
    """Return each strategy's training answers with their tokens.

    Args:
        examples: columns of ``schemas.STRATEGY_EXAMPLES``, without texts.
        responses: columns of ``schemas.STRATEGY_RESPONSES``, the rows of ``examples`` among them.
    """
    keys = ["strategy", "prompt_id", "response_key"]
    tokens = {
        tuple(row[name] for name in keys): row["completion_tokens"] for row in responses.to_pylist()
    }
    own = [tokens[tuple(row[name] for name in keys)] for row in examples.to_pylist()]
    return examples.append_column("completion_tokens", pa.array(own, pa.int64()))


def recompute(
    tables: Mapping[str, pa.Table], about: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the comparison of strategies and that of routers, as ``compare`` made them.

    Args:
        tables: by their names, ``TABLES``.
        about: ``{"seed", "alpha", "teachers", "prices", "compare", "compare_routers",
            "preferences", "spent", "notes", "budget"}``.
    """
    routers = _routers(tables, about)
    return recompute_strategies(tables, about, routers), routers


def _routers(tables: Mapping[str, pa.Table], about: Mapping[str, Any]) -> dict[str, Any]:
    prompt_ids, matrix = fair_matrix(tables["answers"], list(about["teachers"]))
    return summarise_routers(
        tables["router_scores"],
        prompt_ids,
        matrix,
        CompareRoutersSettings.model_validate(about["compare_routers"]),
        about["seed"],
        Spent(*about["spent"]),
        about["preferences"],
    )


def recompute_strategies(
    tables: Mapping[str, pa.Table], about: Mapping[str, Any], routers: dict[str, Any]
) -> dict[str, Any]:
    """Return the comparison of strategies alone; ``routers`` is the second result of ``recompute``.

    ``trials`` may be a part of the test prompts'.
    """
    prices = {name: Prices(*one) for name, one in about["prices"].items()}
    kinds = tables["prompts"].to_pydict()
    own = tables["choices"].filter(pc.equal(tables["choices"]["strategy"], PERSYN))
    return build_comparison(
        tables["trials"],
        TrainingSets(
            tables["examples"],
            price_strategies(tables["tokens"], prices),
            about["notes"],
            about["budget"],
        ),
        {row["prompt_id"]: [row["teacher"]] for row in own.to_pylist()},
        dict(zip(kinds["prompt_id"], kinds["source"], strict=True)),
        about["teachers"],
        routers,
        LabelSettings(alpha=about["alpha"]),
        CompareSettings.model_validate(about["compare"]),
        about["seed"],
    )
