"""Reports for the terminal."""

import textwrap
from collections.abc import Sequence
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.reporting import (
    benchmark_figures,
    comparison_figures,
    explanation_figures,
    focus_figures,
    formatting as figures,
    frontier_figures,
    plan_figures,
    rounds_figures,
    samples_figures,
    selection_figures,
    signal_figures,
)
from persyn_kedro.domain.routers.explanation import Explanation

_WIDTH = 100


def terminal_table(summary: dict[str, Any]) -> str:
    """Return the report's tables as plain text."""
    prompts, calls, student = summary["prompts"], summary["calls"], summary["student"]
    confidence = figures.percent(student["accuracy"]["confidence"])
    parts = [
        _table(figures.TEACHER_COLUMNS, figures.teacher_rows(summary["teachers"])),
        _prose(figures.in_words(figures.MEANING["teachers"])),
        f"Prompts: {prompts['calibration']} calibration, {prompts['train']} train, "
        f"{prompts['test']} test.{_sources(summary.get('sources'))}\n"
        f"Teacher calls: {calls['made']} made; {calls['on_an_empty_store']} on an "
        f"empty store; Generate-then-Select {calls['generate_then_select']}."
        + (f" Cost of those made: {calls['cost']:.4g}." if calls["cost"] else ""),
        *map(_prose, focus_figures.focus_sentences(summary["focus"]) if "focus" in summary else []),
        *_samples(summary.get("samples")),
        *map(_prose, _weighed(summary.get("weighed"))),
        _table(figures.router_columns(summary["router"]), figures.router_rows(summary["router"])),
        _prose(figures.in_words(figures.MEANING["router"])),
        *_selection(summary["router"]),
        _table(figures.STUDENT_COLUMNS, figures.student_rows(student)),
        _prose(
            figures.in_words(figures.MEANING["student"])
            + f" In brackets: {confidence} confidence intervals."
        ),
        *(_prose(f"Note: {note}") for note in summary["notes"]),
    ]
    return "\n\n".join(["", *parts])


def _weighed(note: dict[str, Any] | None) -> list[str]:
    return [] if note is None else frontier_figures.weighed_sentences(note)


def _sources(sources: dict[str, int] | None) -> str:
    return f" By source: {figures.counted(sources)}." if sources else ""


def _samples(samples: dict[str, Any] | None) -> list[str]:
    if samples is None:
        return []
    return [
        _table(samples_figures.SPREAD_COLUMNS, samples_figures.spread_rows(samples)),
        _prose(figures.in_words(samples_figures.MEANING)),
        *map(_prose, samples_figures.sentences(samples)),
    ]


def _selection(router: dict[str, Any]) -> list[str]:
    """Return how the router was chosen, and for how many prompts the choice is clear, if known."""
    parts = []
    if selection := router.get("selection"):
        if rows := selection_figures.rows(selection):
            parts = [
                _table(selection_figures.COLUMNS, rows),
                _prose(figures.in_words(selection_figures.MEANING)),
            ]
        parts += map(_prose, selection_figures.sentences(selection))
    if "certain" in router:
        parts.append(_prose(selection_figures.certainty(router["certain"])))
    return parts


def _prose(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)  # words may be commands


def _table(columns: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [columns, *rows]
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def plan_text(plan: list[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Return a plan as plain text: its table, and the sentences about it."""
    parts = [
        _table(plan_figures.PLAN_COLUMNS, plan_figures.plan_rows(plan, summary["now"])),
        _prose(figures.in_words(plan_figures.MEANING["plan"])),
        *map(_prose, plan_figures.sentences(summary)),
        *(_prose(f"Note: {note}") for note in summary["notes"]),
    ]
    return "\n\n".join(["", *parts])


def pool_change_text(change: dict[str, Any]) -> str:
    """Return what a changed pool of teachers changed, as plain text."""
    moved = sum(m["prompts"] for m in change["moves"])
    moves = ", ".join(f"{m['prompts']} from {m['from']} to {m['to']}" for m in change["moves"])
    parts = [
        f"The pool of teachers changed: {change['difference']}.",
        _table(figures.POOL_COLUMNS, figures.pool_rows(change)),
        _prose(figures.in_words(figures.MEANING["pool"])),
        _prose(
            f"{moved} of {change['prompts']} prompts have a different teacher than before"
            + (f": {moves}." if moves else ".")
        ),
        *(_prose(sentence) for sentence in figures.regret_sentences(change["router"])),
    ]
    return "\n\n".join(["", *parts])


def comparison_text(comparison: dict[str, Any]) -> str:
    """Return the strategies' comparison as plain text."""
    parts = [
        _table(comparison_figures.STRATEGY_COLUMNS, comparison_figures.strategy_rows(comparison)),
        _prose(comparison_figures.strategy_meaning(comparison)),
        _table(comparison_figures.COST_COLUMNS, comparison_figures.cost_rows(comparison)),
        _prose(comparison_figures.COST_MEANING),
        *(_prose(f"Note: {note}") for note in comparison["notes"]),
        *map(_prose, comparison["verdicts"]),
    ]
    return "\n\n".join(["", *parts])


def routers_text(comparison: dict[str, Any]) -> str:
    """Return the routers' comparison as plain text."""
    rows = comparison_figures.router_rows(comparison)
    parts = [
        _table(comparison_figures.router_columns(comparison), rows),
        _prose(comparison_figures.router_meaning(comparison)),
        *map(_prose, comparison["verdicts"]),
    ]
    return "\n\n".join(["", *parts])


def signals_text(found: dict[str, Any]) -> str:
    """Return the comparison of signals as plain text."""
    parts = [
        _table(signal_figures.columns(found), signal_figures.rows(found)),
        _prose(signal_figures.meaning(found)),
        *map(_prose, found["verdicts"]),
        *(_prose(f"Note: {note}") for note in found["notes"]),
    ]
    return "\n\n".join(["", *parts])


def signal_fit_text(found: dict[str, Any]) -> str:
    """Return the adapters' scores and the recommended signal as plain text."""
    parts = [
        _table(signal_figures.FIT_COLUMNS, signal_figures.fit_rows(found)),
        _prose(signal_figures.fit_meaning(found)),
        *map(_prose, found["verdicts"]),
        *(_prose(f"Note: {note}") for note in found["notes"]),
    ]
    return "\n\n".join(["", *parts])


def frontier_text(frontier: pads.Dataset) -> str:
    """Return the frontier of reward against cost as plain text."""
    rows = frontier.to_table().to_pylist()
    parts = [
        _table(frontier_figures.COLUMNS, frontier_figures.frontier_rows(rows)),
        _prose(figures.in_words(frontier_figures.MEANING)),
        *map(_prose, frontier_figures.sentences(rows)),
    ]
    return "\n\n".join(["", *parts])


def benchmarks_text(comparison: dict[str, Any]) -> str:
    """Return the benchmarks as plain text."""
    table = _table(
        benchmark_figures.BENCHMARK_COLUMNS, benchmark_figures.benchmark_rows(comparison)
    )
    notes = [_prose(f"Note: {note}") for note in comparison["notes"]]
    return "\n\n".join(["", table, _prose(benchmark_figures.benchmark_meaning(comparison)), *notes])


def rounds_text(summary: dict[str, Any]) -> str:
    """Return what a round changed, as plain text."""
    rows = rounds_figures.teacher_rows(summary)
    parts = [
        f"Round {len(summary['rounds'])}",
        _table(rounds_figures.TEACHER_COLUMNS, rows),
        _prose(figures.in_words(rounds_figures.MEANING)),
        *map(_prose, rounds_figures.sentences(summary)),
    ]
    return "\n\n".join(["", *parts])


def export_text(facts: dict[str, Any]) -> str:
    """Return what a publisher must know first: the rows and the licences."""
    rows = ", ".join(f"{n} rows in {split}" for split, n in facts["rows"].items())
    unknown = f" Missing licences: {'; '.join(facts['unknown'])}." if facts["unknown"] else ""
    return _prose(f"{rows}. Overall licence: {facts['licence'] or 'unknown'}.{unknown}")


def explanation_text(
    explanation: Explanation, notes: Sequence[str] = (), longest: int | None = None
) -> str:
    """Return the explanation of a prompt's choice of teacher as plain text.

    ``longest``: characters of each response to show; None: all.
    """
    parts = [
        f"Prompt {explanation.prompt_id}: {explanation_figures.place_words(explanation)}\n"
        + _indented(explanation.prompt)
        + (f"\n  [reference] {explanation.reference}" if explanation.reference else ""),
        _prose(explanation_figures.router_words(explanation)),
        _table(
            explanation_figures.teacher_columns(explanation),
            explanation_figures.teacher_rows(explanation),
        ),
        _prose(explanation_figures.price_words(explanation)),
        _prose(explanation_figures.choice_words(explanation)),
        _prose(explanation_figures.reward_words(explanation)),
        *_neighbours(explanation),
        *_responses(explanation, longest),
        *(_prose(f"Note: {note}") for note in notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _neighbours(explanation: Explanation) -> list[str]:
    if not explanation.neighbours:
        return []
    lines = [
        textwrap.shorten(
            f"#{i} {n.prompt_id[:12]} {explanation_figures.itself(explanation, n)}{n.prompt}",
            _WIDTH,
            placeholder=" …",
        )
        for i, n in enumerate(explanation.neighbours, 1)
    ]
    return [
        "Nearest prompts that the router was fitted on, and the teachers' true rewards there:",
        _table(
            explanation_figures.neighbour_columns(explanation),
            explanation_figures.neighbour_rows(explanation),
        ),
        "\n".join(lines),
        _prose(explanation_figures.neighbour_words(explanation)),
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
        parts.append(f"{teacher.teacher}{sample}{ended}:\n{_indented(shown)}")
    return parts


def _indented(text: str) -> str:
    """Return the text's lines, wrapped and indented by two."""
    lines = [
        textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        for line in text.strip().splitlines()
    ]
    return "\n".join(lines)
