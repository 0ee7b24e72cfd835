"""A plan's figures as rows of text, for the terminal and the page."""

from collections.abc import Sequence
from typing import Any

from persyn_kedro.domain.planning.disk import total_bytes
from persyn_kedro.domain.reporting.dropped_figures import dropped_sentences
from persyn_kedro.domain.reporting.focus_figures import focus_sentences

PLAN_COLUMNS = [
    "step", "teacher", "answers", "calls", "prompt tokens", "tokens", "at most", "cost", "at most ",
]  # fmt: skip
ACTUAL_COLUMNS = [
    "step", "teacher", "calls", "made", "tokens", "used", "cost", "spent",
]  # fmt: skip
SPOKEN = {"label": "calibration", "focus": "focus", "generate": "routed", "evaluate": "test"}
MEANING = {
    "plan": {
        "answers": "wanted",
        "calls": "those that the store lacks; before routing, the routed ones are equal shares; "
        "for the trained student, all",
        "tokens": "of the answers, as long as this teacher's known ones; if none is known, at most",
        "at most": "every answer as long as max_new_tokens allows; in the last row, for all "
        "teachers, including the cost if the router sends every prompt to the most expensive one",
        "cost": "in the prices' currency",
    },
    "actual": {
        "calls, tokens, cost": "estimated before the first call, with answers of maximum length "
        "(max_new_tokens) if none of this teacher was known, and equal shares of routed calls, "
        "as no router had chosen yet; with route.focus, which leaves out prompts once the student "
        "has tried them, an upper bound",
        "made, used, spent": "by the step's last run; answers in the store were free",
    },
}


def plan_rows(table: Sequence[dict[str, Any]], totals: dict[str, float]) -> list[list[str]]:
    """Return the rows of PLAN, and one of the sums over the teachers."""
    rows = [_plan_row(SPOKEN[row["step"]], row["teacher"], row) for row in table]
    return [*rows, _plan_row("all teachers", "", totals)]


def actual_rows(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return estimated and actual amounts side by side, and the sums."""
    names = [name for name in rows[0] if name not in ("step", "teacher")] if rows else []
    sums = {name: sum(row[name] for row in rows) for name in names}
    total = [{"step": "", "teacher": "all", **sums}] if rows else []
    return [
        [
            SPOKEN.get(row["step"], row["step"]),
            row["teacher"],
            count(row["calls"]),
            count(row["actual_calls"]),
            count(row["completion_tokens"]),
            count(row["actual_completion_tokens"]),
            money(row["cost"]),
            money(row["actual_cost"]),
        ]
        for row in [*rows, *total]
    ]


def sentences(summary: dict[str, Any]) -> list[str]:
    """Return what the plan contains besides its table."""
    now, all_of_all = summary["now"], summary["generate_then_select"]
    found = [
        f"Teacher calls: {count(now['calls'])}; Generate-then-Select {count(all_of_all['calls'])}, "
        f"with {count(all_of_all['completion_tokens'])} tokens of answers (at most "
        f"{count(all_of_all['most_completion_tokens'])}) and cost {money(all_of_all['cost'])} "
        f"(at most {money(all_of_all['most_cost'])}), with an empty store.",
    ]
    if summary["routed_cost_range"] and any(summary["routed_cost_range"]):
        low, high = (money(cost) for cost in summary["routed_cost_range"])
        found.append(f"The routed calls cost {low} to {high}, depending on the router's choices.")
    student = summary["student"]
    found.append(
        f"If everything is redone, the student reads about {count(student['tokens_to_score'])} "
        f"tokens to score answers and {count(student['tokens_to_train_on'])} in training."
    )
    found += dropped_sentences(summary.get("dropped"))
    if "focus" in summary:
        found += focus_sentences(summary["focus"])
    items = "; ".join(f"{name} {size(value)}" for name, value in summary["disk"].items())
    found.append(f"Disk: at least {size(total_bytes(summary['disk']))} ({items}).")
    return found


def count(value: float) -> str:
    """Return a number of calls or tokens."""
    return f"{value:,.1f}" if value != round(value) and value < 100 else f"{value:,.0f}"


def money(value: float) -> str:
    """Return an amount of money, without a currency."""
    return f"{value:.4g}"


def size(value: float | None) -> str:
    """Return a number of bytes with its unit."""
    if value is None:
        return "unknown"
    return f"{value / 2**30:.2f} GiB" if value >= 2**27 else f"{value / 2**20:.1f} MiB"


def _plan_row(step: str, teacher: str, row: dict[str, Any]) -> list[str]:
    return [
        step,
        teacher,
        *(
            count(row[name])
            for name in (
                "responses",
                "calls",
                "prompt_tokens",
                "completion_tokens",
                "most_completion_tokens",
            )
        ),
        money(row["cost"]),
        money(row["most_cost"]),
    ]
