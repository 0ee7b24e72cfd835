"""What steps and commands besides the report print."""

from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.reporting import (
    benchmark_figures,
    comparison_figures,
    formatting as figures,
    frontier_figures,
    judgement_figures,
    plan_figures,
    rounds_figures,
    signal_figures,
)
from persyn_kedro.domain.reporting.terminal_layout import prose, table


def students_text(comparison: dict[str, Any]) -> str:
    """Return the untrained, the fine-tuned and the preferring student, as the report's table."""
    confidence = figures.percent(comparison["dpo"]["accuracy"]["confidence"])
    return "\n\n".join(
        [
            "",
            table(*figures.students_table(comparison["sft"], comparison["dpo"])),
            prose(
                figures.in_words(figures.MEANING["student"])
                + f" In brackets: {confidence} confidence intervals."
            ),
        ]
    )


def plan_text(plan: list[dict[str, Any]], summary: dict[str, Any]) -> str:
    """Return a plan as plain text: its table, and the sentences about it."""
    parts = [
        table(plan_figures.PLAN_COLUMNS, plan_figures.plan_rows(plan, summary["now"])),
        prose(figures.in_words(plan_figures.MEANING["plan"])),
        *map(prose, plan_figures.sentences(summary)),
        *(prose(f"Note: {note}") for note in summary["notes"]),
    ]
    return "\n\n".join(["", *parts])


def pool_change_text(change: dict[str, Any]) -> str:
    """Return what a changed pool of teachers changed, as plain text."""
    moved = sum(m["prompts"] for m in change["moves"])
    moves = ", ".join(f"{m['prompts']} from {m['from']} to {m['to']}" for m in change["moves"])
    parts = [
        f"The pool of teachers changed: {change['difference']}.",
        table(figures.POOL_COLUMNS, figures.pool_rows(change)),
        prose(figures.in_words(figures.MEANING["pool"])),
        prose(
            f"{moved} of {change['prompts']} prompts have a different teacher than before"
            + (f": {moves}." if moves else ".")
        ),
        *(prose(sentence) for sentence in figures.regret_sentences(change["router"])),
    ]
    return "\n\n".join(["", *parts])


def comparison_text(comparison: dict[str, Any]) -> str:
    """Return the strategies' comparison as plain text."""
    parts = [
        table(comparison_figures.STRATEGY_COLUMNS, comparison_figures.strategy_rows(comparison)),
        prose(comparison_figures.strategy_meaning(comparison)),
        prose(comparison["equal"]),
        table(comparison_figures.COST_COLUMNS, comparison_figures.cost_rows(comparison)),
        prose(comparison_figures.COST_MEANING),
        *(prose(f"Note: {note}") for note in comparison["notes"]),
        *map(prose, comparison["verdicts"]),
    ]
    return "\n\n".join(["", *parts])


def routers_text(comparison: dict[str, Any]) -> str:
    """Return the routers' comparison as plain text."""
    rows = comparison_figures.router_rows(comparison)
    parts = [
        table(comparison_figures.router_columns(comparison), rows),
        prose(comparison_figures.router_meaning(comparison)),
        *map(prose, comparison["verdicts"]),
    ]
    return "\n\n".join(["", *parts])


def signals_text(found: dict[str, Any]) -> str:
    """Return the comparison of signals as plain text."""
    parts = [
        table(signal_figures.columns(found), signal_figures.rows(found)),
        prose(signal_figures.meaning(found)),
        *map(prose, found["verdicts"]),
        *(prose(f"Note: {note}") for note in found["notes"]),
    ]
    return "\n\n".join(["", *parts])


def signal_fit_text(found: dict[str, Any]) -> str:
    """Return the adapters' scores and the recommended signal as plain text."""
    parts = [
        table(signal_figures.FIT_COLUMNS, signal_figures.fit_rows(found)),
        prose(signal_figures.fit_meaning(found)),
        *map(prose, found["verdicts"]),
        *(prose(f"Note: {note}") for note in found["notes"]),
    ]
    return "\n\n".join(["", *parts])


def judgements_text(found: dict[str, Any]) -> str:
    """Return the comparison of ways of judging as plain text."""
    shown = judgement_figures
    parts = [
        table(shown.PAIR_COLUMNS, shown.pair_rows(found)),
        prose(shown.meaning(found, shown.PAIRS)),
        table(shown.choice_columns(found), shown.choice_rows(found)),
        prose(shown.meaning(found, shown.CHOICES)),
        table(shown.kind_columns(found), shown.kind_rows(found)),
        prose(shown.meaning(found, shown.KINDS)),
        *map(prose, found["verdicts"]),
        *(prose(f"Note: {note}") for note in found["notes"]),
    ]
    return "\n\n".join(["", *parts])


def frontier_text(frontier: pads.Dataset) -> str:
    """Return the frontier of reward against cost as plain text."""
    rows = frontier.to_table().to_pylist()
    parts = [
        table(frontier_figures.COLUMNS, frontier_figures.frontier_rows(rows)),
        prose(figures.in_words(frontier_figures.MEANING)),
        *map(prose, frontier_figures.sentences(rows)),
    ]
    return "\n\n".join(["", *parts])


def benchmarks_text(comparison: dict[str, Any]) -> str:
    """Return the benchmarks as plain text."""
    scores = table(
        benchmark_figures.BENCHMARK_COLUMNS, benchmark_figures.benchmark_rows(comparison)
    )
    notes = [prose(f"Note: {note}") for note in comparison["notes"]]
    return "\n\n".join(["", scores, prose(benchmark_figures.benchmark_meaning(comparison)), *notes])


def rounds_text(summary: dict[str, Any]) -> str:
    """Return what a round changed, as plain text."""
    rows = rounds_figures.teacher_rows(summary)
    parts = [
        f"Round {len(summary['rounds'])}",
        table(rounds_figures.TEACHER_COLUMNS, rows),
        prose(figures.in_words(rounds_figures.MEANING)),
        *map(prose, rounds_figures.sentences(summary)),
    ]
    return "\n\n".join(["", *parts])


def export_text(facts: dict[str, Any]) -> str:
    """Return what a publisher must know first: the rows and the licences."""
    rows = ", ".join(f"{n} rows in {split}" for split, n in facts["rows"].items())
    rows += f", {facts['preferences']['rows']} preferences"
    unknown = f" Missing licences: {'; '.join(facts['unknown'])}." if facts["unknown"] else ""
    return prose(f"{rows}. Overall licence: {facts['licence'] or 'unknown'}.{unknown}")
