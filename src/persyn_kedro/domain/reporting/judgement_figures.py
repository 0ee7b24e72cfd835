"""The comparison of ways of judging as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

KIND_COLUMNS = ["judged by", "answers", "unknown", "longer is better"]
KINDS = (
    "Longer is better: Spearman's correlation of quality and length (characters) within a prompt, "
    "mean over prompts, with its {confidence} interval. Then each teacher's mean quality, in the "
    "unit of what judges, and its share of the prompts of which it is the best by the reward with "
    "this quality."
)
PAIR_COLUMNS = ["ways", "pairs alike", "opposite", "tied by the first", "by the second", "by both",
                "agreement", "correlation", "same choice"]  # fmt: skip
PAIRS = (
    "Pairs: two answers to the same prompt, and whether both ways order them alike. Agreement: the "
    "share ordered alike of the pairs that both tell apart; 50 % is chance. Correlation: "
    "Spearman's, over all answers. Same choice: on how many prompts both choose the same teacher, "
    "by the reward with their quality. In brackets: {confidence} bootstrap intervals over prompts."
)
CHOICES = (
    "The mean quality, by what a column judges by, of the answers that a row would have chosen, on "
    "the {prompts} prompts with two valid teachers under all ways. Random: the mean of a prompt's "
    "answers; best: its highest quality. A choice is by the reward, so learnability counts in it "
    "too (label.alpha)."
)


def kind_columns(found: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``kind_rows``."""
    return [*KIND_COLUMNS, *found["teachers"]]


def kind_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each way of judging."""
    return [
        [
            row["kind"],
            str(row["answers"]),
            str(row["unknown"]),
            _estimate(row["length"], 2),
            *(
                f"{number(mean, 2)}, {percent(share)}"
                for mean, share in zip(row["means"], row["shares"], strict=True)
            ),
        ]
        for row in found["kinds"]
    ]


def pair_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each two ways, under ``PAIR_COLUMNS``."""
    counts = ("alike", "opposite", "tied_by_first", "tied_by_second", "tied_by_both")
    return [
        [
            f"{pair['first']}, {pair['second']}",
            *(str(pair[name]) for name in counts),
            _estimate(pair["agreement"]),
            _estimate(pair["correlation"], 2),
            _estimate(pair["same"]),
        ]
        for pair in found["pairs"]
    ]


def choice_columns(found: Mapping[str, Any]) -> list[str]:
    """Return the column headings of ``choice_rows``."""
    return ["chosen by", *(f"by {row['kind']}" for row in found["kinds"])]


def choice_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each way's choices, and for random and best ones."""
    return [
        [name, *(_estimate(by[row["kind"]], 3) for row in found["kinds"])]
        for name, by in found["choices"]["rows"].items()
    ]


def meaning(found: Mapping[str, Any], of: str) -> str:
    """Return the meaning of the columns: ``KINDS``, ``PAIRS`` or ``CHOICES``."""
    return of.format(confidence=percent(found["confidence"]), prompts=found["choices"]["prompts"])


def _estimate(found: Mapping[str, Any] | None, digits: int | None = None) -> str:
    """Return a value with its interval, as a percentage if no ``digits`` are given."""
    if found is None:
        return "–"

    def shown(value: float) -> str:
        return percent(value) if digits is None else number(value, digits)

    return with_interval(found["value"], found["interval"], shown)
