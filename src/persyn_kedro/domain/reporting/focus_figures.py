"""Which train prompts get an answer, in words: for the report and the plan."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.formatting import percent

_WORDS = {
    "solved": "the student solves",
    "off_frontier": "are not at the student's frontier (drawn with the probability 4 p (1 - p), "
    "p its pass rate)",
    "later_round": "wait for a later round",
    "earlier_round": "were used by an earlier round",
}


def focus_sentences(focus: Mapping[str, Any]) -> list[str]:
    """Return how many prompts get no answer and why, and what that saves.

    Args:
        focus: ``prompts.focus_counts``.
    """
    counts = [f"{focus[name]} {words}" for name, words in _WORDS.items() if focus[name]]
    found = [
        f"Prompts without an answer: {'; '.join(counts)}." if counts else "No prompt is left out."
    ]
    if focus["asked"]:
        found.append(
            f"The student answered {focus['asked']} train prompts with a reference itself "
            f"({focus['answers']} answers), with a mean pass rate of "
            f"{percent(focus['mean_pass_rate'])}. What this left out saves {focus['saved_calls']} "
            f"teacher calls, of about {focus['saved_tokens']:,.0f} tokens."
        )
    return found
