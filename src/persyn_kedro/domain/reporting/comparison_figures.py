"""The comparison's figures as text, the same in the terminal and on the page."""

from collections.abc import Iterable, Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent, with_interval
from persyn_kedro.domain.reporting.router_plots import shown_hit
from persyn_kedro.foundations.settings.compare import ALPHA

STRATEGY_COLUMNS = ["strategy", "examples", "score", "± seeds", "to PerSyn", "and other seeds"]
COST_COLUMNS = [
    "strategy", "asks", "calls", "tokens", "prompt tokens", "cost",
    "calls with choosing", "tokens", "prompt tokens", "cost",
]  # fmt: skip
MEANS = {
    "persyn": "the router's choice for each prompt",
    "persyn_cheap": "the router's choice less the price of the answer, at most of the reward",
    "strong": "always the teacher with the best mean quality",
    "best_constant": "always the teacher with the best mean reward on the calibration prompts",
    "task_type": "for each kind of prompt, the teacher with the best mean reward",
    "mix": "a share of the prompts to the best teacher, the rest to the weakest, at random",
    "family_strong": "always the best teacher of the student's own family",
    "car": "always the teacher with the best mix of quality and likelihood under the student",
    "random": "a random teacher for each prompt",
    "oracle": "the truly best answer to each calibration prompt (needs them all)",
    "persyn_calibration": "PerSyn on the calibration prompts only, to compare with oracle",
}
STRATEGY_MEANING = (
    "Score: {measure}, mean over seeds; ± is the standard deviation over seeds. To PerSyn: the "
    "difference with its {confidence} interval, a paired bootstrap over test prompts, which holds "
    "for these particular students; the last column also allows for other trainings. {meant}"
)
MEANT = {
    "pointwise": "The intervals are not corrected for multiple comparisons: with many, some will "
    "miss.",
    "simultaneous": "With this confidence all intervals of a column cover at once (bootstrap of "
    "the maximum), so the best of many strategies may be picked by them; each by itself has "
    "{levels}.",
}
KIND_MEANING = (
    "Mean score over seeds; in brackets the share of answers that are truncated. Few prompts of a "
    "kind make its scores uncertain: they have no intervals."
)
TAUGHT_MEANING = (
    "Mean quality of the answers in each strategy's training set, by the prompts' references. "
    "Wrong answers are trained on unless generate.verification says otherwise."
)
COST_MEANING = (
    "What each strategy would have used by itself, starting with an empty store: for its training "
    "set, and including the calibration answers that it chooses by. Tokens: of completions."
)
ROUTER_MEANING = (
    "Each calibration prompt is scored by a router that was not fitted on it. AUC: for ranking "
    "the better of two teachers higher. Regret: mean reward lost to the best teacher, and its "
    "difference from the constant's (below 0 is better); in brackets: {confidence} intervals over "
    "prompts."
)


def strategy_meaning(comparison: Mapping[str, Any]) -> str:
    """Return the meaning of the strategies' columns."""
    exact = comparison["measure"] == "exact"
    return STRATEGY_MEANING.format(
        measure="exact matches on the test prompts"
        if exact
        else "mean reward of the test answers by label.quality",
        confidence=percent(comparison["confidence"]),
        meant=MEANT[comparison["intervals"]].format(
            levels=" and ".join(percent(level) for level in comparison["levels"].values())
        ),
    )


def legend(comparison: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a description of each compared strategy."""
    return [
        (
            name,
            row.get("means")
            or MEANS.get(name)
            or f"PerSyn with alpha = {name.removeprefix(ALPHA)}",
        )
        for name, row in comparison["strategies"].items()
    ]


def strategy_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``STRATEGY_COLUMNS``, the untrained student first."""
    score = percent if comparison["measure"] == "exact" else number
    rows = [["untrained", "", score(comparison["untrained"]), "", "", ""]]
    for name, row in comparison["strategies"].items():
        difference = row.get("difference")
        cells = ["", ""]
        if difference:
            shown = _signed(score)
            cells = [
                with_interval(difference["value"], difference["interval"], shown),
                _interval(difference["with_seeds"], shown),
            ]
        rows.append([name, str(row["examples"]), score(row["mean"]), score(row["spread"]), *cells])
    return rows


def kind_columns(comparison: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``kind_rows``."""
    return ["kind", "prompts", *_tested(comparison)]


def kind_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each kind of test prompts: score (share of truncated answers)."""
    score = percent if comparison["measure"] == "exact" else number
    names = _tested(comparison)
    return [
        [
            row["kind"],
            str(row["n"]),
            *(f"{score(row['scores'].get(n))} ({percent(row['truncated'].get(n))})" for n in names),
        ]
        for row in comparison["kinds"]
    ]


def _tested(comparison: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for row in comparison["kinds"] for name in row["scores"]))


def taught_columns(comparison: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``taught_rows``: the strategies with a known answer."""
    return ["kind", *(name for name, own in comparison["taught"].items() if own)]


def taught_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return the mean quality of training answers, over all prompts and by kind of prompt."""
    show = percent if comparison["measure"] == "exact" else number
    sets = {name: own for name, own in comparison["taught"].items() if own}
    kinds = sorted({kind for own in sets.values() for kind in own})
    rows = [["all", *(show(_mean_quality(own.values())) for own in sets.values())]]
    return rows + [
        [kind, *(show(own[kind]["quality"] if kind in own else None) for own in sets.values())]
        for kind in kinds
    ]


def _mean_quality(kinds: Iterable[Mapping[str, Any]]) -> float:
    known = [(row["known"], row["quality"]) for row in kinds]
    return sum(n * quality for n, quality in known) / sum(n for n, _ in known)


def cost_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``COST_COLUMNS``."""
    names = ("calls", "completion_tokens", "prompt_tokens")
    return [
        [
            name,
            row["teacher"] or "",
            *(
                cell
                for prefix in ("", "whole_")
                for cell in (
                    *(str(row["cost"][prefix + n]) for n in names),
                    f"{row['cost'][prefix + 'cost']:.4g}",
                )
            ),
        ]
        for name, row in comparison["strategies"].items()
    ]


def _interval(interval: Any, show: Any) -> str:
    return "one seed" if interval is None else f"[{show(interval[0])}, {show(interval[1])}]"


def _signed(show: Any) -> Any:
    def signed(value: float) -> str:
        return ("+" if value > 0 else "") + show(value)

    return signed


def router_columns(comparison: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``router_rows``."""
    hits = list(dict.fromkeys(["hit@1", shown_hit(comparison)]))
    head = f"router (n = {comparison['n']}, {comparison['folds']} folds)"
    return [head, *(hit.title() for hit in hits), "AUC", "regret", "to constant"]


def router_rows(comparison: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each router, the constant, chance and the oracle."""
    hits = list(dict.fromkeys(["hit@1", shown_hit(comparison)]))
    rows = []
    for name, row in comparison["routers"].items():
        rows.append(
            [
                name.replace("_", " "),
                *(_estimate(row[hit], percent) for hit in hits),
                _estimate(row.get("auc"), number),
                _estimate(row["regret"], number),
                _estimate(row.get("regret_to_constant"), _signed(number)),
            ]
        )
    return rows


def _estimate(found: Mapping[str, Any] | None, show: Any) -> str:
    return "" if found is None else with_interval(found["value"], found["interval"], show)


def router_meaning(comparison: Mapping[str, Any]) -> str:
    """Return the meaning of the routers' columns."""
    return ROUTER_MEANING.format(confidence=percent(comparison["confidence"]))
