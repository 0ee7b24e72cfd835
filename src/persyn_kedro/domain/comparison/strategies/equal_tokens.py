"""The same teacher tokens for every strategy, in place of the same prompts (docs/comparing.md).

A strategy pays for the calibration answers that it chooses by, then for its own answers, prompt by
prompt in an order that all strategies share, until its completion tokens reach the budget. Which
prompts it gets depends on the lengths of the answers before alone, not on what a store holds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.comparison.strategies.allocation import ON_CALIBRATION, PERSYN
from persyn_kedro.domain.comparison.strategies.costs import Calibration
from persyn_kedro.domain.comparison.strategies.generation import Asked
from persyn_kedro.domain.comparison.strategies.rules import Choices
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

ASKED_AHEAD = 0.9  # share of the tokens left that is asked for at once, by expected lengths

# choices by strategy -> as generate_side_by_side
SideBySide = Callable[[Mapping[str, Choices]], tuple[pa.Table, Asked]]


def take_equal_tokens(
    side_by_side: SideBySide,
    choices: Mapping[str, Choices],
    calibration: Calibration,
    tokens: int | None,
    seed: int,
) -> tuple[pa.Table, Asked, dict[str, Any]]:
    """Return what ``side_by_side`` does, of the prompts that the budget pays for, and notes.

    A prompt is taken while less than the budget is spent, or if its answer is paid for as one that
    the strategy chooses by. So the last answer may exceed the budget, and strategies run out of
    prompts if the budget is large. The oracle and what it is compared with have no budget: both
    take all calibration answers and no others.

    Args:
        choices: by strategy.
        tokens: the budget, in completion tokens; None: as many as the strategy that is expected to
            need the fewest for all of its prompts takes.

    Returns:
        tuple: responses, all that was asked for, and ``{"tokens": the budget, "ran_out":
        strategies that used all of their prompts and less}``.

    Raises:
        PersynError: PerSyn itself cannot pay for its calibration answers, or an answer's tokens
            were not counted. Unless that is one to a train prompt, nobody has been asked.
    """
    _check_counted(calibration.rows)
    limited = [name for name in choices if name not in ON_CALIBRATION]
    budget = tokens or _fewest({name: choices[name] for name in limited}, calibration)
    _check_persyn(calibration, budget, given=tokens is not None)
    takers = [
        Taker(name, own, calibration, budget if name in limited else None, seed)
        for name, own in choices.items()
    ]
    found: dict[str, list[pa.Table]] = {taker.name: [] for taker in takers}
    again = 0
    while wanted := {t.name: batch for t in takers if (batch := t.next_batch())}:
        responses, asked = side_by_side(wanted)
        _check_counted(row for own in asked.values() for row in own)
        again += schemas.unsettled_rows(responses.schema)
        for taker in takers:
            if taker.name in wanted:
                taken = taker.take(wanted[taker.name], asked[taker.name])
                own = responses.filter(pc.equal(responses["strategy"], taker.name))
                among = pa.array(taken, pa.string())
                found[taker.name].append(own.filter(pc.is_in(own["prompt_id"], value_set=among)))
    tables = [table for own in found.values() for table in own]
    responses = pa.concat_tables([schemas.STRATEGY_RESPONSES.empty_table(), *tables])
    ran_out = [t.name for t in takers if t.name in limited and t.spent < budget]
    return (
        schemas.with_unsettled(responses, again),
        {taker.name: taker.asked for taker in takers},
        {"tokens": budget, "ran_out": ran_out},
    )


@dataclass
class Taker:
    """A strategy on its way to the budget: what it has taken, and what it has spent.

    Attributes:
        budget: completion tokens; None: without limit.
        asked: the rows of ``schemas.RESPONSES`` of what it has taken.
    """

    name: str
    choices: Choices
    calibration: Calibration
    budget: int | None
    seed: int
    asked: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.spent = self.calibration.tokens(self.name)
        self._order = taking_order(list(self.choices), self.calibration.prompt_ids, self.seed)
        self._next = 0

    def next_batch(self) -> Choices:
        """Return the choices of the next prompts, as many as are expected to be paid for."""
        found: Choices = {}
        room, total = self._room() * ASKED_AHEAD, 0.0
        for prompt_id in self._order[self._next :]:
            price = self._price(prompt_id)
            if not self._affords(prompt_id) or (found and price and total + price > room):
                break
            total += price
            found[prompt_id] = self.choices[prompt_id]
        return found

    def take(self, batch: Choices, asked: Sequence[dict[str, Any]]) -> list[str]:
        """Return the prompts of a batch that are taken, in order, and count their tokens."""
        by_prompt: dict[str, list[dict[str, Any]]] = {}
        for row in asked:
            by_prompt.setdefault(row["prompt_id"], []).append(row)
        taken = []
        for prompt_id in batch:
            if not self._affords(prompt_id):
                self._next = len(self._order)
                break
            rows = by_prompt.get(prompt_id, [])
            self.spent += self.calibration.tokens_beside(self.name, rows)
            self.asked += rows
            self._next += 1
            taken.append(prompt_id)
        return taken

    def _room(self) -> float:
        return float("inf") if self.budget is None else self.budget - self.spent

    def _affords(self, prompt_id: str) -> bool:
        return self._room() > 0 or not self._price(prompt_id)

    def _price(self, prompt_id: str) -> float:
        return self.calibration.expected(self.name, prompt_id, self.choices[prompt_id][0])


def taking_order(prompt_ids: Sequence[str], calibration: frozenset[str], seed: int) -> list[str]:
    """Return the prompts in the order in which every strategy takes them.

    Calibration prompts come first, as some strategies have paid for their answers; otherwise it is
    a random order, the same whatever other prompts there are.
    """
    return sorted(
        prompt_ids, key=lambda p: (p not in calibration, unit_draw(seed, "equal tokens", p), p)
    )


def _fewest(choices: Mapping[str, Choices], calibration: Calibration) -> int:
    """Return the tokens expected of the strategy that takes the fewest for all of its prompts."""
    needed = {
        name: calibration.tokens(name)
        + sum(calibration.expected(name, prompt_id, line[0]) for prompt_id, line in own.items())
        for name, own in choices.items()
    }
    return int(min(needed.values()))


def _check_counted(rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse answers whose tokens nobody has counted: such a teacher would seem to cost nothing."""
    for row in rows:
        if row["engine"] is not None and row.get("response") and not row["completion_tokens"]:
            raise PersynError(
                f"The tokens of {row['teacher']}'s answers were not counted (they are imported, or "
                "come from a server that reports none), so strategies cannot be compared at equal "
                "teacher tokens: set compare.examples to common or own."
            )


def _check_persyn(calibration: Calibration, budget: int, given: bool) -> None:
    """Refuse a budget below PerSyn's calibration answers; no other strategy chooses by more."""
    needed = calibration.tokens(PERSYN)
    if needed > budget:
        remedy = "raise compare.tokens" if given else "set compare.tokens, or add train prompts"
        raise PersynError(
            f"PerSyn cannot be compared at equal teacher tokens: the calibration answers that it "
            f"chooses by take {needed}, more than the {budget} that each strategy has: {remedy}."
        )
