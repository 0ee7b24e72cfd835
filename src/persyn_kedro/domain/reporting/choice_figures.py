"""The router's choices against the strongest teacher's, as text for the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import number

PARTS = {
    "holdout": "not seen by the router in training",
    "fit": "seen by the router in training",
}
OUTCOMES = {
    "better": "Where the router's choice was better",
    "worse": "Where the strongest teacher was better",
}
PART_COLUMNS = [
    "prompts", "n", "the same", "router better", "equal", "strongest better", "mean gain",
]  # fmt: skip
MEANING = {
    "the same": "prompts that the router also sends to the strongest teacher",
    "router better": "it chose another teacher, whose answer has the higher reward",
    "equal": "another teacher, with the same reward",
    "strongest better": "another teacher, whose answer has the lower reward (0 if invalid)",
    "mean gain": "reward of the router's choice minus the strongest's, averaged over all n "
    "prompts; on prompts seen in training a router looks better than it is",
}


def part_rows(choices: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``PART_COLUMNS``."""
    return [
        [
            PARTS[part["part"]],
            *(str(part[name]) for name in ("n", "same", "better", "equal", "worse")),
            "–" if part["gain"] is None else f"{part['gain']:+.3f}",
        ]
        for part in choices["parts"]
    ]


def sentences(choices: Mapping[str, Any]) -> list[str]:
    """Say who the strongest teacher is, and how often the router chooses another one."""
    strongest, n, other = (choices[key] for key in ("strongest", "prompts", "elsewhere"))
    if strongest is None:
        return [
            "No calibration answer has a known quality, so no teacher can be called the strongest."
        ]
    first = (
        f"The strongest teacher, by mean quality on the calibration prompts, is {strongest}. "
        f"What if it had answered every prompt?"
    )
    if not other:
        return [
            f"{first} Nothing would differ: the router chose the strongest teacher for all {n} "
            "calibration and train prompts."
        ]
    differ = sum(part["n"] - part["same"] for part in choices["parts"])
    known = (
        f"The router sent {other} of the {n} calibration and train prompts to another teacher. "
        f"{differ} of them are calibration prompts, for which both answers are known"
    )
    if not differ:
        return [first, f"{known}, so there is nothing to compare."]
    unseen = next(part for part in choices["parts"] if part["part"] == "holdout")
    return [
        first,
        f"{known}. The fair ones are those that the router did not see in training: of "
        f"{unseen['n']}, its choice was better on {unseen['better']}, equal on {unseen['equal']}, "
        f"worse on {unseen['worse']}, and the strongest teacher itself on {unseen['same']}.",
    ]


def reward_rows(answer: Mapping[str, Any]) -> list[list[str]]:
    """Return quality, learnability and reward of one side's answer."""
    reward = "invalid: 0" if answer["reward"] is None else number(answer["reward"])
    return [
        ["quality", number(answer["quality"]), number(answer["quality_normalised"])],
        [
            "learnability",
            number(answer["learnability"]),
            number(answer["learnability_normalised"]),
        ],
        ["reward", "", reward],
    ]
