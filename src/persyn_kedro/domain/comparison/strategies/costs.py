"""What each strategy would have cost by itself, starting with an empty store."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import FAMILY_STRONG
from persyn_kedro.foundations.settings.spending import Prices
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result


class Calibration:
    """The calibration answers, and whose a strategy chooses by.

    Choosing needs calibration answers (Strong and the like are defined by them, METHOD.md,
    "Baselines"); those that a training set also contains are counted once. An answer without a call
    costs nothing.
    """

    def __init__(
        self,
        responses: pa.Table,
        choices: Mapping[str, Mapping[str, Sequence[str]]],
        teachers: Sequence[str],
        blind: Collection[str],
        draws: int = 1,
    ) -> None:
        """Hold them.

        Args:
            responses: ``schemas.RESPONSES``, of every teacher to every calibration prompt.
            choices: by strategy and prompt, the teachers that it may call.
            blind: the strategies that choose without calibration answers.
            draws: how many answers a chosen teacher is asked for at once.
        """
        self._draws = draws
        self.rows = [row for row in responses.to_pylist() if row["teacher"] in teachers]
        self.prompt_ids = frozenset(row["prompt_id"] for row in self.rows)
        self._consulted = {
            name: _consulted(name, own, teachers, blind) for name, own in choices.items()
        }

    def needed(self, strategy: str) -> list[dict[str, Any]]:
        """Return the rows that a strategy chooses by."""
        return [row for row in self.rows if row["teacher"] in self._consulted[strategy]]

    def tokens(self, strategy: str) -> int:
        """Return the completion tokens of the answers that it chooses by."""
        return _completion(self.needed(strategy))

    def tokens_beside(self, strategy: str, asked: Iterable[Mapping[str, Any]]) -> int:
        """Return the completion tokens of answers, without those that it chooses by."""
        return _completion(row for row in asked if not self._paid(strategy, row))

    def expected(self, strategy: str, prompt_id: str, teacher: str) -> float:
        """Return the completion tokens that a teacher's answers to a prompt are expected to add.

        0 if the strategy chooses by them; else the calibration answer's, or the teacher's mean, for
        each.
        """
        known = self._known.get((teacher, prompt_id))
        if known is not None and teacher in self._consulted[strategy]:
            return 0.0
        return self._draws * (self._means.get(teacher, 0.0) if known is None else known)

    def _paid(self, strategy: str, row: Mapping[str, Any]) -> bool:
        own = row["teacher"] in self._consulted[strategy]
        return own and row["response_key"] in self._keys

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(row["response_key"] for row in self.rows)

    @cached_property
    def _known(self) -> dict[tuple[str, str], float]:
        """Each answer's completion tokens, the mean of several; 0 without a call."""
        found: dict[tuple[str, str], list[int]] = {}
        for row in self.rows:
            spent = _completion([row])
            found.setdefault((row["teacher"], row["prompt_id"]), []).append(spent)
        return {place: sum(counts) / len(counts) for place, counts in found.items()}

    @cached_property
    def _means(self) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for (teacher, _), count in self._known.items():
            found.setdefault(teacher, []).append(count)
        return {teacher: sum(counts) / len(counts) for teacher, counts in found.items()}


def strategy_tokens(
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    calibration: Calibration,
    teachers: Sequence[str],
) -> pa.Table:
    """Return ``schemas.STRATEGY_TOKENS``: for the training set only, and including the choosing.

    Args:
        asked: by strategy, the rows of ``schemas.RESPONSES`` that it asks for.
    """
    rows = []
    for strategy, own in asked.items():
        alone, whole = _sums(own), _sums([*own, *calibration.needed(strategy)])
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


def strategy_prompts(
    asked: Mapping[str, Sequence[Mapping[str, Any]]],
    choices: Mapping[str, Iterable[str]],
    calibration: Calibration,
) -> pa.Table:
    """Return ``schemas.STRATEGY_PROMPTS``: the prompts of each strategy, in the order of choices.

    Args:
        asked: as for ``strategy_tokens``.
        choices: by strategy, prompts; those without an answer in ``asked`` were not taken.
    """
    rows = []
    for strategy, own in asked.items():
        by_prompt: dict[str, list[Mapping[str, Any]]] = {}
        for row in own:
            by_prompt.setdefault(row["prompt_id"], []).append(row)
        rows += [
            {
                "strategy": strategy,
                "prompt_id": prompt_id,
                "completion_tokens": _completion(by_prompt[prompt_id]),
                "added_tokens": calibration.tokens_beside(strategy, by_prompt[prompt_id]),
            }
            for prompt_id in choices[strategy]
            if prompt_id in by_prompt
        ]
    return pa.Table.from_pylist(rows, schemas.STRATEGY_PROMPTS)


def price_strategies(tokens: pa.Table, prices: Mapping[str, Prices]) -> dict[str, dict[str, float]]:
    """Return each strategy's calls, tokens and ``cost``, alone and as ``whole_…``, summed.

    ``prices``: by teacher.
    """
    found: dict[str, dict[str, float]] = {}
    for row in tokens.to_pylist():
        sums = found.setdefault(row["strategy"], {})
        for prefix in ("", "whole_"):
            counts = {name: row[f"{prefix}{name}"] or 0 for name in schemas.SPENT}
            cost = prices[row["teacher"]].cost(*(counts[name] for name in schemas.SPENT[1:]))
            for name, value in {**counts, "cost": cost}.items():
                sums[f"{prefix}{name}"] = sums.get(f"{prefix}{name}", 0) + value
    return found


def _consulted(
    strategy: str,
    choices: Mapping[str, Sequence[str]],
    teachers: Sequence[str],
    blind: Collection[str],
) -> set[str]:
    """Return the teachers whose calibration answers a strategy needs to choose."""
    if strategy in blind:
        return set()
    if strategy == FAMILY_STRONG:
        family = {teacher for chosen in choices.values() for teacher in chosen}
        return family if len(family) > 1 else set()  # one leaves nothing to choose
    return set(teachers)


def _completion(rows: Iterable[Mapping[str, Any]]) -> int:
    return sum(sums["completion_tokens"] for sums in _sums(rows).values())


def _sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    once = {row["response_key"]: row for row in rows if row["engine"] is not None}.values()
    sums: dict[str, dict[str, int]] = {}
    for row in once:
        own = sums.setdefault(row["teacher"], dict.fromkeys(schemas.SPENT, 0))
        own["calls"] += 1
        for name in schemas.SPENT[1:]:
            own[name] += row[name] or 0
    return sums
