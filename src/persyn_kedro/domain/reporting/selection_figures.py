"""How a router chose itself (kind auto), as text for the terminal and the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

COLUMNS = ["candidate", "regret", "to constant"]
MEANING = {
    "candidate": "routers that competed by cross-validation on the prompts that the router is "
    "fitted on",
    "to constant": "regret minus that of always choosing the best teacher; below 0 is better",
    "chosen anew": "in each fold the choice is made again without its prompts, so this figure is "
    "honest; the winner's own is too good, because it is the best of several",
}

LEARNING_COLUMNS = ["calibration prompts", "regret"]
LEARNING_MEANING = {
    "calibration prompts": "that a router like this one was fitted on, and measured on others",
    "regret": "reward lost to each prompt's best teacher, with a 95 % interval",
}


def rows(selection: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``COLUMNS``, the choice itself last; nothing if none was compared."""
    if not selection["candidates"]:
        return []
    named = {**selection["candidates"], "chosen anew": selection["nested"]}
    return [[name, *_cells(figures)] for name, figures in named.items()]


def sentences(selection: Mapping[str, Any]) -> list[str]:
    """Say which candidate routes, why, and by how much it is better than the constant."""
    chosen, because = selection["chosen"], selection["because"]
    if not selection["candidates"]:
        return [
            f"The {chosen} router routes: {selection['n']} prompts with two valid teachers are too "
            "few to compare routers by cross-validation."
        ]
    difference = selection["nested"]["to_constant"]
    told = with_interval(difference["value"], difference["interval"], _signed)
    how = f"{selection['n']} prompts, {selection['folds']} folds"
    honest = (
        f"Choosing by cross-validation ({how}) changes the regret by {told} against always "
        f"choosing the best teacher ({percent(selection['confidence'])} interval)."
    )
    if because == "insisted":
        return [f"The {chosen} router routes because train_router.insist names it. {honest}"]
    if because == "constant":
        return [
            "No candidate beats always choosing the best teacher, so the constant routes: every "
            f"prompt goes to the same teacher. {honest} More calibration prompts may change that; "
            "train_router.insist takes a candidate nevertheless."
        ]
    folds = selection["chosen_in_folds"].get(chosen, 0)
    return [
        f"The {chosen} router won among {', '.join(selection['candidates'])}, and in {folds} of "
        f"{selection['folds']} folds. {honest}"
    ]


def learning_rows(learning: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``LEARNING_COLUMNS``, fewest prompts first."""
    return [
        [f"{each['fitted_on']:.0f}", with_interval(*_estimate(each["regret"]), number)]
        for each in learning["curve"]
    ]


def certainty(share: float) -> str:
    """Say for how many prompts the choice is clear."""
    return (
        f"For {percent(share)} of the prompts the chosen teacher's score exceeds the second's by "
        "more than twice the two scores' standard error."
    )


def _estimate(figure: Mapping[str, Any]) -> tuple[float, Any]:
    return figure["value"], figure["interval"]


def _cells(figures: Mapping[str, Any]) -> list[str]:
    shows = (("regret", number), ("to_constant", _signed))
    return [with_interval(*_estimate(figures[n]), show) for n, show in shows]


def _signed(value: float) -> str:
    return f"{value:+.3f}"
