"""What each strategy would have cost on its own, from an empty store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persyn_kedro.foundations import schemas

if TYPE_CHECKING:
    from persyn_kedro.domain.teachers.recipes import Recipe

CHOOSES_BLINDLY = frozenset({"random"})  # all others choose by the calibration answers


def strategy_costs(
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    calibration_responses: pa.Table,
    recipes: Sequence["Recipe"],
) -> pa.Table:
    """Return ``schemas.STRATEGY_COSTS``: of the training set alone, and with what choosing took.

    Choosing takes all K n calibration answers (Strong and the like are defined by them, METHOD.md,
    "Baselines"); those that the set holds too are counted once. A row that no teacher was asked for
    costs nothing.

    Args:
        asked: by strategy the rows of ``schemas.RESPONSES`` that it asks for.
        calibration_responses: of every teacher to every calibration prompt.
        recipes: with the prices.
    """
    calibration = calibration_responses.to_pylist()
    prices = {recipe.teacher: recipe for recipe in recipes}
    rows = []
    for strategy, own in asked.items():
        needed = [] if strategy in CHOOSES_BLINDLY else calibration
        alone, whole = _sums(own, prices), _sums([*own, *needed], prices)
        rows.append({"strategy": strategy, **alone, **{f"whole_{k}": v for k, v in whole.items()}})
    return pa.Table.from_pylist(rows, schemas.STRATEGY_COSTS)


def _sums(rows: Iterable[Mapping[str, Any]], prices: Mapping[str, "Recipe"]) -> dict[str, float]:
    once = {row["response_key"]: row for row in rows if row["engine"] is not None}.values()
    return {
        "calls": len(once),
        "prompt_tokens": sum(row["prompt_tokens"] for row in once),
        "completion_tokens": sum(row["completion_tokens"] for row in once),
        "cost": sum(
            prices[row["teacher"]].cost(row["prompt_tokens"], row["completion_tokens"])
            for row in once
        ),
    }
