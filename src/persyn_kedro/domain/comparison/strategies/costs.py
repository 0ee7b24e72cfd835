"""What each strategy would have cost by itself, starting with an empty store."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import FAMILY_STRONG, RANDOM
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas


def strategy_tokens(
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    choices: Mapping[str, Mapping[str, Sequence[str]]],
    calibration_responses: pa.Table,
    teachers: Sequence[str],
) -> pa.Table:
    """Return ``schemas.STRATEGY_TOKENS``: for the training set only, and including the choosing.

    Choosing needs calibration answers (Strong and the like are defined by them, METHOD.md,
    "Baselines"); those that the set also contains are counted once. A row without a call costs
    nothing.

    Args:
        asked: by strategy, the rows of ``schemas.RESPONSES`` that it asks for.
        choices: by strategy and prompt, the teachers that it may call.
        calibration_responses: of every teacher to every calibration prompt.
    """
    calibration = calibration_responses.to_pylist()
    rows = []
    for strategy, own in asked.items():
        consulted = _consulted(strategy, choices[strategy], teachers)
        needed = [row for row in calibration if row["teacher"] in consulted]
        alone, whole = _sums(own), _sums([*own, *needed])
        rows += [
            {
                "strategy": strategy,
                "teacher": teacher,
                **alone.get(teacher, dict.fromkeys(schemas.SPENT, 0)),
                **{f"whole_{k}": v for k, v in whole[teacher].items()},
            }
            for teacher in teachers
            if teacher in whole
        ]
    return pa.Table.from_pylist(rows, schemas.STRATEGY_TOKENS)


def price_strategies(tokens: pa.Table, teachers: Teachers) -> dict[str, dict[str, float]]:
    """Return each strategy's calls, tokens and ``cost``, alone and as ``whole_…``, summed."""
    found: dict[str, dict[str, float]] = {}
    for row in tokens.to_pylist():
        prices = teachers.root[row["teacher"]].prices
        sums = found.setdefault(row["strategy"], {})
        for prefix in ("", "whole_"):
            counts = {name: row[f"{prefix}{name}"] or 0 for name in schemas.SPENT}
            cost = prices.cost(*(counts[name] for name in schemas.SPENT[1:]))
            for name, value in {**counts, "cost": cost}.items():
                sums[f"{prefix}{name}"] = sums.get(f"{prefix}{name}", 0) + value
    return found


def _consulted(
    strategy: str, choices: Mapping[str, Sequence[str]], teachers: Sequence[str]
) -> set[str]:
    """Return the teachers whose calibration answers a strategy needs to choose."""
    if strategy == RANDOM:
        return set()
    if strategy == FAMILY_STRONG:
        family = {teacher for chosen in choices.values() for teacher in chosen}
        return family if len(family) > 1 else set()  # one leaves nothing to choose
    return set(teachers)


def _sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    once = {row["response_key"]: row for row in rows if row["engine"] is not None}.values()
    sums: dict[str, dict[str, int]] = {}
    for row in once:
        own = sums.setdefault(row["teacher"], dict.fromkeys(schemas.SPENT, 0))
        own["calls"] += 1
        for name in schemas.SPENT[1:]:
            own[name] += row[name] or 0
    return sums
