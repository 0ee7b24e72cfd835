"""The comparison's result, as one JSON-able value for terminal, plots and page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.kinds import scores_by_kind
from persyn_kedro.domain.comparison.strategies.allocation import (
    ON_CALIBRATION,
    PERSYN,
    PERSYN_CALIBRATION,
)
from persyn_kedro.domain.comparison.students import compare_students, verdicts
from persyn_kedro.foundations.settings.compare import ALPHA, CompareSettings
from persyn_kedro.foundations.settings.label import LabelSettings

VERSION = 5  # raise it when the same inputs give another result


@dataclass(frozen=True)
class TrainingSets:
    """What the students were trained on.

    Attributes:
        examples: rows of ``schemas.STRATEGY_EXAMPLES``.
        costs: the result of ``strategies.costs.price_strategies``.
        notes: the second results of ``strategies.allocation.allocate`` and
            ``examples.strategy_examples``, ``taught`` (``taught_by_kind``) and
            ``constant_answers``, merged. Publications before them lack the last two.
        budget: the notes of ``equal_tokens.take_equal_tokens``; without ``tokens`` there was none.
    """

    examples: pa.Table
    costs: Mapping[str, Mapping[str, float]]
    notes: Mapping[str, Any]
    budget: Mapping[str, Any]


def build_comparison(
    trials: pa.Table,
    sets: TrainingSets,
    choices: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    teachers: Sequence[str],
    router_comparison: Mapping[str, Any],
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
) -> dict[str, Any]:
    """Return scores, costs, alphas, scores and allocations by kind of prompt, notes and verdicts.

    Args:
        trials: rows of ``schemas.TRIALS``.
        choices: PerSyn's teachers for each prompt, the first choice first, by prompt_id.
        kinds: each prompt's source, by prompt_id; of the test prompts too.
    """
    students = compare_students(trials, settings, seed)
    exact = all(q in (None, 0.0, 1.0) for q in trials["quality"].to_pylist())
    counts = Counter(sets.examples["strategy"].to_pylist())
    same = _same_sets(sets.examples)
    for name, row in students["strategies"].items():
        row.update(
            examples=counts[name],
            teacher=sets.notes["teachers"].get(name),
            cost=dict(sets.costs[name]),
            **({"means": settings.variants[name].spoken} if name in settings.variants else {}),
        )
    return {
        **students,
        "measure": "exact" if exact else "reward",
        "alphas": _alphas(students["strategies"], label),
        "allocation": _allocation(choices, kinds, teachers),
        "kinds": scores_by_kind(trials, kinds),
        "taught": dict(sets.notes.get("taught", {})),
        "equal": _equal(sets, counts),
        "notes": _notes(counts, same, sets.notes, settings),
        "verdicts": [
            *verdicts(students, same, "points" if exact else "reward"),
            *router_comparison["verdicts"],
        ],
    }


def _equal(sets: TrainingSets, counts: Mapping[str, int]) -> str:
    """Say what all strategies have the same of."""
    budget = sets.budget["tokens"]
    if budget is None:
        compared = [n for name, n in counts.items() if name not in ON_CALIBRATION]
        if len(compared) == 1:
            return f"Only {PERSYN} has a student, of {counts[PERSYN]} examples."
        return (
            f"Each strategy has the same {counts[PERSYN]} examples; the teacher tokens differ."
            if len(set(compared)) == 1
            else "Each strategy has all of its usable answers; examples and teacher tokens differ."
        )
    said = (
        f"Each strategy has the same teacher tokens, {budget} of completions, the calibration "
        "answers that it chooses by included; the examples differ."
    )
    short = [f"{name} ({_spent(sets, name)})" for name in sets.budget["ran_out"]]
    if short:
        said += f" There were no more prompts for {', '.join(short)}."
    return said


def _spent(sets: TrainingSets, name: str) -> str:
    return f"{100 * sets.costs[name]['whole_completion_tokens'] / sets.budget['tokens']:.0f} %"


def _alphas(figures: Mapping[str, Any], label: LabelSettings) -> list[dict[str, Any]]:
    """Return PerSyn's figures by ascending alpha."""
    found = {float(n.removeprefix(ALPHA)): n for n in figures if n.startswith(ALPHA)}
    return [
        {"alpha": alpha, "strategy": name, **figures[name]}
        for alpha, name in sorted({**found, label.alpha: PERSYN}.items())
        if name in figures
    ]


def _allocation(
    choices: Mapping[str, Sequence[str]], kinds: Mapping[str, str], teachers: Sequence[str]
) -> list[dict[str, Any]]:
    """Return how often each teacher is the first choice, by kind of prompt; both by prompt_id."""
    counts = Counter((kinds[prompt_id], chosen[0]) for prompt_id, chosen in choices.items())
    return [
        {"kind": kind, **{t: counts[kind, t] for t in teachers}}
        for kind in dict.fromkeys(kind for kind, _ in sorted(counts))
    ]


def _same_sets(examples: pa.Table) -> dict[str, str]:
    """Return the strategies that share an earlier one's training set, by name."""
    sets: dict[str, list[str]] = {}
    for row in examples.select(["strategy", "response_key"]).to_pylist():
        sets.setdefault(row["strategy"], []).append(row["response_key"])
    first: dict[tuple[str, ...], str] = {}
    same = {}
    for name, own in sets.items():
        owner = first.setdefault(tuple(own), name)
        if owner != name:
            same[name] = owner
    return same


def _notes(
    counts: Mapping[str, int],
    same: Mapping[str, str],
    notes: Mapping[str, Any],
    settings: CompareSettings,
) -> list[str]:
    found = [*notes.get("constant_answers", ())]
    left_out: dict[str, list[str]] = {}
    for name, why in notes["left_out"].items():
        left_out.setdefault(why, []).append(name)
    found += [
        f"{', '.join(names)} {'are' if len(names) > 1 else 'is'} left out: {why}."
        for why, names in left_out.items()
    ]
    asked, usable = notes["prompts"][PERSYN], notes["usable"]
    if settings.examples == "common" and counts[PERSYN] < asked:
        least = min((n for n in counts if n not in ON_CALIBRATION), key=lambda n: usable[n])
        found.append(
            f"{counts[PERSYN]} of {asked} prompts are used for training: those whose answer is "
            f"usable in every strategy. {least} has the fewest usable answers, {usable[least]}, "
            f"{PERSYN} has {usable[PERSYN]}. An answer that fails costs its strategy nothing here; "
            "set compare.examples to own to give each strategy all of its answers."
        )
    found += [
        f"{name} has the same training set as {owner}, and so the same student."
        for name, owner in same.items()
    ]
    if PERSYN_CALIBRATION in counts:
        found.append(
            "oracle is compared with persyn_calibration: both are trained on the calibration "
            "prompts only, each routed by a router that was not fitted on it."
        )
    return found
