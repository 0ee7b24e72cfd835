"""The comparison of signals as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

CHANGES = (
    "Best teacher changes: on how many calibration prompts another teacher is the best than by the "
    "settings' own reward, which is the first row. Agreement: Kendall's tau of the teachers' ranks "
    "within a prompt, mean over prompts. Then each teacher's share of the prompts of which it is "
    "the best."
)
PREDICTS = (
    " Predicts {step}: Spearman's correlation, over the students that {step} trained, of the mean "
    "reward of a student's calibration examples and its score; in brackets "
    "its interval. With a confidence of {confidence} the intervals of all rewards hold at once, so "
    "that the best one's needs no correction for having been picked."
)
FIT = (
    "Score: mean quality of the answers to {n} held-out calibration prompts, mean over seeds. To "
    "the own: the difference from the settings' own reward, the first row, with its interval "
    "over prompts and seeds. With a confidence of {confidence} all these intervals hold at once, "
    "so that the best one's needs no correction for having been picked. Best: in which share "
    "of resampled prompts it is the best. The untrained student's score is {untrained}."
)
FIT_COLUMNS = ["trained on the choice of", "alpha", "examples", "tokens", "score", "to the own",
               "best"]  # fmt: skip


def columns(found: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``rows``."""
    told = [f"predicts {step} (n = {n})" for step, n in found["students"].items()]
    head = ["signal", "normalised by", "alpha", "best teacher changes", "agreement"]
    return [*head, *found["teachers"], *told]


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each reward, the settings' own first."""
    return [
        [
            row["signal"],
            row["normalise"],
            f"{row['alpha']:g}",
            percent(row["changed"]),
            number(row["agreement"], 2),
            *(percent(share) for share in row["shares"] or [None] * len(found["teachers"])),
            *(_correlation(row["predicts"][step]) for step in found["students"]),
        ]
        for row in found["rows"]
    ]


def _correlation(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    return with_interval(found["value"], found["interval"], lambda value: number(value, 2))


def meaning(found: Mapping[str, Any]) -> str:
    """Return the meaning of the columns."""
    shown = percent(found["confidence"])
    return CHANGES + "".join(
        PREDICTS.format(step=step, confidence=shown) for step in found["students"]
    )


def fit_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each adapter, that of the settings' own reward first."""
    return [
        [
            row["signal"] or f"always {row['teacher']}",
            "" if row["alpha"] is None else f"{row['alpha']:g}",
            str(row["examples"]),
            str(row["tokens"]),
            number(row["mean"]),
            with_interval(row["difference"], row["interval"], _signed)
            if row.get("difference") is not None
            else "",
            percent(row["wins"]),
        ]
        for row in found["rows"]
    ]


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def fit_meaning(found: Mapping[str, Any]) -> str:
    """Return the meaning of ``FIT_COLUMNS``."""
    return FIT.format(
        n=found["n"],
        confidence=percent(found["confidence"]),
        untrained=number(found["untrained"]),
    )
