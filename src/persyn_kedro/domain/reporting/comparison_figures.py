"""The comparison's figures as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.figures import number, percent, with_interval
from persyn_kedro.domain.reporting.router_plots import shown_hit

STRATEGY_COLUMNS = [
    "strategy", "always", "examples", "score", "± seeds", "to PerSyn", "tokens", "with choosing",
    "calls", "cost",
]  # fmt: skip
STRATEGY_MEANING = (
    "Score: {measure}, mean over seeds; ± is the standard deviation over seeds. To PerSyn: the "
    "difference with its {confidence} interval (paired bootstrap over seeds and test prompts; each "
    "interval for itself). Tokens: completion tokens of the training set alone; with choosing: and "
    "of the calibration answers by which the strategy chooses (calls and cost likewise), all from "
    "an empty store."
)
ROUTER_MEANING = (
    "Each calibration prompt is scored by a router that was not fitted on it. AUC: of telling the "
    "better of two teachers. Regret: mean reward lost to the best teacher, and what that is more "
    "(+) or less than the constant's; in brackets {confidence} intervals over prompts."
)


def strategy_meaning(comparison: Mapping[str, Any]) -> str:
    """Return what the columns of the strategies mean."""
    exact = comparison["measure"] == "exact"
    return STRATEGY_MEANING.format(
        measure="exact matches on the test prompts"
        if exact
        else "mean reward of the test answers by label.quality's model",
        confidence=percent(comparison["confidence"]),
    )


def strategy_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells under ``STRATEGY_COLUMNS``, the untrained student first."""
    score = percent if comparison["measure"] == "exact" else number
    empty = [""] * (len(STRATEGY_COLUMNS) - 4)
    rows = [["untrained", "", "", score(comparison["untrained"]), *empty]]
    for name, row in comparison["strategies"].items():
        cost, difference = row["cost"], row.get("difference")
        rows.append(
            [
                name,
                row["teacher"] or "",
                str(row["examples"]),
                score(row["mean"]),
                score(row["spread"]),
                with_interval(difference["value"], difference["interval"], _signed(score))
                if difference
                else "",
                str(cost["completion_tokens"]),
                str(cost["whole_completion_tokens"]),
                str(cost["whole_calls"]),
                f"{cost['whole_cost']:.4g}",
            ]
        )
    return rows


def _signed(show: Any) -> Any:
    def signed(value: float) -> str:
        return ("+" if value > 0 else "") + show(value)

    return signed


def router_columns(comparison: Mapping[str, Any]) -> list[str]:
    """Return the heads of ``router_rows``."""
    hits = list(dict.fromkeys(["hit@1", shown_hit(comparison)]))
    head = f"router (n = {comparison['n']}, {comparison['folds']} folds)"
    return [head, *(hit.title() for hit in hits), "AUC", "regret", "to constant"]


def router_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each router, the constant, chance and the oracle."""
    hits = list(dict.fromkeys(["hit@1", shown_hit(comparison)]))
    rows = []
    for name, row in comparison["routers"].items():
        rows.append(
            [
                name.replace("_", " "),
                *(_estimate(row[hit], percent) for hit in hits),
                _estimate(row["auc"], number),
                _estimate(row["regret"], number),
                _estimate(row.get("regret_to_constant"), _signed(number)),
            ]
        )
    return rows


def _estimate(found: Mapping[str, Any] | None, show: Any) -> str:
    return "" if found is None else with_interval(found["value"], found["interval"], show)


def router_meaning(comparison: Mapping[str, Any]) -> str:
    """Return what the columns of the routers mean."""
    return ROUTER_MEANING.format(confidence=percent(comparison["confidence"]))
