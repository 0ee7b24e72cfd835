"""What a changed pool of teachers changed: who answers what, and how good the routing is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import ANSWERED, select_ids
from persyn_kedro.domain.routers.saving import Pool, pool_difference


@dataclass(frozen=True)
class Routed:
    """Where prompts went in one run of the router.

    Attributes:
        pool: the teachers, in the settings' order.
        choices: columns ``prompt_id`` and ``teacher``.
        metrics: the router's, from ``metrics.router_metrics``, if known.
    """

    pool: Pool
    choices: pa.Table
    metrics: Mapping[str, Any] | None


def pool_change(
    before: Routed,
    now: Routed,
    prompts: pads.Dataset,
    calls: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """Return what changed with the pool, JSON-able.

    Only prompts that teachers answer (calibration and train) and both routers routed count.

    Args:
        prompts: ``schemas.PROMPTS``, as of now.
        calls: by step, for each teacher ``{"teacher", "calls", …}`` of this run only.
    """
    answered = select_ids(prompts, ANSWERED)["prompt_id"]
    here = now.choices.filter(pc.is_in(now.choices["prompt_id"], value_set=answered))
    moves = choice_moves(before.choices, here)
    names = dict.fromkeys(m["teacher"] for m in [*now.pool, *before.pool])
    return {
        "difference": pool_difference(before.pool, now.pool),
        "prompts": sum(m["prompts"] for m in moves),
        "moves": [m for m in moves if m["from"] != m["to"]],
        "teachers": [
            {
                "teacher": name,
                "before": sum(m["prompts"] for m in moves if m["from"] == name),
                "now": sum(m["prompts"] for m in moves if m["to"] == name),
                "calibration_calls": _calls(calls.get("label", ()), name),
                "routed_calls": _calls(calls.get("generate", ()), name),
            }
            for name in names
        ],
        "router": {"before": regrets(before.metrics), "now": regrets(now.metrics)},
    }


def choice_moves(before: pa.Table, now: pa.Table) -> list[dict[str, Any]]:
    """Return how many prompts of both moved from which teacher to which, most first.

    Both tables have the columns ``prompt_id`` and ``teacher``.
    """
    both = (
        before.rename_columns(["prompt_id", "from"])
        .join(now.rename_columns(["prompt_id", "to"]), "prompt_id", join_type="inner")
        .group_by(["from", "to"])
        .aggregate([("prompt_id", "count")])
    )
    rows = [
        {"from": r["from"], "to": r["to"], "prompts": r["prompt_id_count"]}
        for r in both.to_pylist()
    ]
    return sorted(rows, key=lambda r: (-r["prompts"], r["from"], r["to"]))


def _calls(rows: Sequence[Mapping[str, Any]], teacher: str) -> int:
    return int(sum(row.get("calls", 0) for row in rows if row["teacher"] == teacher))


def regrets(metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the held-out prompts and the regret of the router and of the constant choice."""
    if metrics is None:
        return None
    regrets = {name: metrics[name]["regret"] for name in ("router", "constant")}
    return {"n": metrics["n"], **regrets}
