"""An explanation of a prompt's choice of teacher for the terminal."""

import textwrap
from collections.abc import Sequence

from persyn_kedro.domain.reporting import explanation_figures
from persyn_kedro.domain.reporting.terminal_layout import WIDTH, indented, prose, table
from persyn_kedro.domain.routers.explained import Explanation


def explanation_text(
    explanation: Explanation, notes: Sequence[str] = (), longest: int | None = None
) -> str:
    """Return the explanation of a prompt's choice of teacher as plain text.

    ``longest``: characters of each response to show; None: all.
    """
    parts = [
        f"Prompt {explanation.prompt_id}: {explanation_figures.place_words(explanation)}\n"
        + indented(explanation.prompt)
        + (f"\n  [reference] {explanation.reference}" if explanation.reference else ""),
        prose(explanation_figures.router_words(explanation)),
        table(
            explanation_figures.teacher_columns(explanation),
            explanation_figures.teacher_rows(explanation),
        ),
        prose(explanation_figures.price_words(explanation)),
        prose(explanation_figures.choice_words(explanation)),
        prose(explanation_figures.reward_words(explanation)),
        *_neighbours(explanation),
        *_responses(explanation, longest),
        *(prose(f"Note: {note}") for note in notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _neighbours(explanation: Explanation) -> list[str]:
    if not explanation.neighbours:
        return []
    lines = [
        textwrap.shorten(
            f"#{i} {n.prompt_id[:12]} {explanation_figures.itself(explanation, n)}{n.prompt}",
            WIDTH,
            placeholder=" …",
        )
        for i, n in enumerate(explanation.neighbours, 1)
    ]
    return [
        "Nearest prompts that the router was fitted on, and the teachers' true rewards there:",
        table(
            explanation_figures.neighbour_columns(explanation),
            explanation_figures.neighbour_rows(explanation),
        ),
        "\n".join(lines),
        prose(explanation_figures.neighbour_words(explanation)),
    ]


def _responses(explanation: Explanation, longest: int | None) -> list[str]:
    stored = [t for t in explanation.teachers if t.response]
    if not stored:
        return ["Responses: none are stored, and explaining makes no API calls."]
    parts = ["Responses in the store:"]
    for teacher in stored:
        text = teacher.response or ""
        more = len(text) - longest if longest is not None and len(text) > longest else 0
        ended = " (cut off)" if teacher.finish_reason == "length" else ""
        shown = text[:longest] + (f" … ({more} more characters)" if more else "")
        sample = f", answer {teacher.sample_index}" if teacher.sample_index else ""
        parts.append(f"{teacher.teacher}{sample}{ended}:\n{indented(shown)}")
    return parts
