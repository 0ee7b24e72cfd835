"""A run's report for the terminal."""

from typing import Any

from persyn_kedro.domain.reporting import (
    dropped_figures,
    focus_figures,
    formatting as figures,
    frontier_figures,
    samples_figures,
    selection_figures,
    terms_figures,
)
from persyn_kedro.domain.reporting.terminal_layout import prose, table


def terminal_table(summary: dict[str, Any]) -> str:
    """Return the report's tables as plain text."""
    prompts, calls, student = summary["prompts"], summary["calls"], summary["student"]
    confidence = figures.percent(student["accuracy"]["confidence"])
    parts = [
        table(figures.TEACHER_COLUMNS, figures.teacher_rows(summary["teachers"])),
        prose(figures.in_words(figures.MEANING["teachers"])),
        *_terms(summary.get("quality_terms")),
        f"Prompts: {prompts['calibration']} calibration, {prompts['train']} train, "
        f"{prompts['test']} test.{_sources(summary.get('sources'))}\n"
        f"Teacher calls: {calls['made']} made; {calls['on_an_empty_store']} on an "
        f"empty store; Generate-then-Select {calls['generate_then_select']}."
        + (f" Cost of those made: {calls['cost']:.4g}." if calls["cost"] else ""),
        *map(prose, dropped_figures.dropped_sentences(summary.get("dropped"))),
        *map(prose, focus_figures.focus_sentences(summary["focus"]) if "focus" in summary else []),
        *_samples(summary.get("samples")),
        *map(prose, _weighed(summary.get("weighed"))),
        table(figures.router_columns(summary["router"]), figures.router_rows(summary["router"])),
        prose(figures.in_words(figures.MEANING["router"])),
        *_selection(summary["router"]),
        table(*figures.students_table(student, summary.get("preferred_student"))),
        prose(
            figures.in_words(figures.MEANING["student"])
            + f" In brackets: {confidence} confidence intervals."
        ),
        *(prose(f"Note: {note}") for note in summary["notes"]),
    ]
    return "\n\n".join(["", *parts])


def _weighed(note: dict[str, Any] | None) -> list[str]:
    return [] if note is None else frontier_figures.weighed_sentences(note)


def _sources(sources: dict[str, int] | None) -> str:
    return f" By source: {figures.counted(sources)}." if sources else ""


def _terms(terms: list[dict[str, Any]] | None) -> list[str]:
    if not terms:
        return []
    columns, rows = terms_figures.term_columns(terms), terms_figures.term_rows(terms)
    return [table(columns, rows), prose(figures.in_words(terms_figures.MEANING))]


def _samples(samples: dict[str, Any] | None) -> list[str]:
    if samples is None:
        return []
    return [
        table(samples_figures.SPREAD_COLUMNS, samples_figures.spread_rows(samples)),
        prose(figures.in_words(samples_figures.MEANING)),
        *map(prose, samples_figures.sentences(samples)),
    ]


def _selection(router: dict[str, Any]) -> list[str]:
    """Return what is known of how the router was chosen, how it learns and how sure it is."""
    parts = []
    if selection := router.get("selection"):
        if rows := selection_figures.rows(selection):
            parts = [
                table(selection_figures.COLUMNS, rows),
                prose(figures.in_words(selection_figures.MEANING)),
            ]
        parts += map(prose, selection_figures.sentences(selection))
    if learning := router.get("learning"):
        parts += [
            table(selection_figures.LEARNING_COLUMNS, selection_figures.learning_rows(learning)),
            prose(figures.in_words(selection_figures.LEARNING_MEANING)),
            prose(learning["doubling"]),
        ]
    if "certain" in router:
        parts.append(prose(selection_figures.certainty(router["certain"])))
    return parts
