"""What the comparison says, as one JSON-able value that terminal, plots and page draw."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.students import compare_students, verdicts
from persyn_kedro.domain.strategies.allocation import PERSYN, PERSYN_CALIBRATION, alpha_name
from persyn_kedro.foundations.evidence_parameters import CompareSettings
from persyn_kedro.foundations.parameters import LabelSettings


def build_comparison(
    trials: pa.Table,
    costs: pa.Table,
    examples: pa.Table,
    notes: Mapping[str, Any],
    prompts: Sequence[Mapping[str, Any]],
    router_comparison: Mapping[str, Any],
    teachers: Sequence[str],
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
) -> dict[str, Any]:
    """Return scores, costs, alphas, allocations by kind of prompt, notes and verdicts.

    Args:
        trials, costs, examples: rows of ``schemas.TRIALS``, ``STRATEGY_COSTS``,
            ``STRATEGY_EXAMPLES``.
        notes: ``strategies.allocation.allocate``'s second value.
        prompts: rows of ``schemas.PROMPTS`` with split and part; ``source`` is the kind of prompt.
    """
    students = compare_students(trials, settings, seed)
    exact = all(q in (None, 0.0, 1.0) for q in trials["quality"].to_pylist())
    unit = "points" if exact else "reward"
    figures = students["strategies"]
    examples_of = Counter(examples["strategy"].to_pylist())
    spent = {row["strategy"]: row for row in costs.to_pylist()}
    for name, row in figures.items():
        cost = {k: v for k, v in spent[name].items() if k != "strategy"}
        row.update(examples=examples_of[name], teacher=notes["teachers"].get(name), cost=cost)
    return {
        **students,
        "measure": "exact" if exact else "reward",
        "seed": seed,
        "alphas": _alphas(figures, label),
        "allocation": _allocation(examples, prompts, teachers),
        "notes": _notes(examples, examples_of, prompts, notes, settings),
        "verdicts": [*verdicts(students, unit), *_router_verdicts(router_comparison)],
    }


def _alphas(figures: Mapping[str, Any], label: LabelSettings) -> list[dict[str, Any]]:
    """Return PerSyn's figures by rising alpha."""
    found = {label.alpha: PERSYN}
    for name in figures:
        if name.startswith(alpha_name(0)[:-1]):
            found[float(name.removeprefix(alpha_name(0)[:-1]))] = name
    return [
        {"alpha": alpha, "strategy": name, **figures[name]}
        for alpha, name in sorted(found.items())
        if name in figures
    ]


def _allocation(
    examples: pa.Table, prompts: Sequence[Mapping[str, Any]], teachers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return PerSyn's examples by kind of prompt and teacher."""
    source = {row["prompt_id"]: row["source"] for row in prompts}
    rows = [row for row in examples.to_pylist() if row["strategy"] == PERSYN]
    counts = Counter((source[row["prompt_id"]], row["teacher"]) for row in rows)
    kinds = list(dict.fromkeys(kind for kind, _ in sorted(counts)))
    return [{"kind": kind, **{t: counts[kind, t] for t in teachers}} for kind in kinds]


def _notes(
    examples: pa.Table,
    examples_of: Mapping[str, int],
    prompts: Sequence[Mapping[str, Any]],
    notes: Mapping[str, Any],
    settings: CompareSettings,
) -> list[str]:
    found = [f"Left out: {name}, as {why}." for name, why in notes["left_out"].items()]
    if settings.examples == "common" and PERSYN in examples_of:
        asked = sum(row["split"] != "test" and row["part"] != "withheld" for row in prompts)
        if examples_of[PERSYN] < asked:
            found.append(
                f"{examples_of[PERSYN]} of {asked} prompts are trained on: those whose answer may "
                "be trained on in every strategy (compare.examples: own gives each all it has)."
            )
    by_set: dict[tuple, list[str]] = {}
    keys: dict[str, list[str]] = {}
    for row in examples.select(["strategy", "response_key"]).to_pylist():
        keys.setdefault(row["strategy"], []).append(row["response_key"])
    for name, own in keys.items():
        by_set.setdefault(tuple(own), []).append(name)
    found += [
        f"{' and '.join(names)} have the same training set, so their students are the same."
        for names in by_set.values()
        if len(names) > 1
    ]
    if PERSYN_CALIBRATION in examples_of:
        found.append(
            "oracle is compared with persyn_calibration: both are trained on the calibration "
            "prompts alone, each routed by a router that was not fitted on it."
        )
    return found


def _router_verdicts(router_comparison: Mapping[str, Any]) -> list[str]:
    return list(router_comparison["verdicts"])
