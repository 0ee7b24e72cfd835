"""What a comparison of ways of judging shows, in sentences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

CHANCE = 0.5


def verdicts_of(found: Mapping[str, Any]) -> list[str]:
    """Return a sentence or more for each two ways of judging."""
    best = {row["kind"]: _strongest(row["means"], found["teachers"]) for row in found["kinds"]}
    return [_verdict(pair, found["confidence"], best) for pair in found["pairs"]]


def _verdict(pair: Mapping[str, Any], confidence: float, best: Mapping[str, str | None]) -> str:
    a, b = pair["first"], pair["second"]
    agreement, same, told = pair["agreement"], pair["same"], pair["alike"] + pair["opposite"]
    if agreement is None:
        return f"{a} and {b} tell no two answers to a prompt apart both: nothing can be compared."
    low, high = agreement["interval"]
    said = (
        f"{a} and {b} order alike {100 * agreement['value']:.1f} % of the {told} pairs of answers "
        f"that both tell apart ({100 * confidence:g} % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %)"
    )
    said += "" if low > CHANCE or high < CHANCE else ", which is not shown to differ from chance"
    if same is not None:
        said += (
            f"; they would have chosen the same teacher for {100 * same['value']:.1f} % of "
            f"{same['prompts']} prompts"
        )
    if best[a] != best[b]:
        said += f". The strongest teacher is {best[a]} by {a}, and {best[b]} by {b}"
    return said + "."


def _strongest(means: list[float | None], teachers: list[str]) -> str | None:
    known = [-np.inf if mean is None else mean for mean in means]
    return teachers[int(np.argmax(known))] if np.isfinite(known).any() else None


def notes_of(found: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each way of judging that could not judge all answers."""
    return [
        f"By {row['kind']} the quality of {row['unknown']} of {row['answers']} answers is unknown: "
        "they are in no comparison with it."
        for row in found["kinds"]
        if row["unknown"]
    ]
