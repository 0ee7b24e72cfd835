"""Ask batch by batch until more answers are not worth it (METHOD.md, section 1, "Designs").

All that is decided follows from the answers, which are stored as they come: after a kill the same
decisions are made again from the store, and asking goes on where it stopped.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.adaptive.belief import Belief, believe, similar_prompts
from persyn_kedro.domain.adaptive.choosing import best_nowhere, expected_saving, next_batch
from persyn_kedro.domain.designs.asked import Asked, with_asked
from persyn_kedro.domain.rewards.reward import reward_matrix
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.teachers.result import sum_calls
from persyn_kedro.foundations.settings.design import AdaptiveSettings
from persyn_kedro.foundations.settings.spending import Budget
from persyn_kedro.foundations.tables.schemas import unsettled_rows, with_unsettled

VERSION = 1  # raise it when the same answers lead to other decisions

log = logging.getLogger(__name__)

Ask = Callable[[np.ndarray], tuple[pa.Table, pa.Table]]


@dataclass(frozen=True)
class Calibration:
    """What an adaptive design asks, and how it learns what the answers are worth.

    Attributes:
        prompt_ids: n of them, in the order of the answers wanted.
        points: (n, d) their embeddings.
        open: (n,) bool, those whose further answers serve: not those held out, on which the router
            is measured, and whose teachers are therefore all asked at random.
        recipes: the pool, in the settings' order.
        routed: prompts that the router will serve.
        ask: (n, K) bool to ``schemas.RESPONSES`` and ``CALLS``.
        rewards: the responses so far to ``schemas.REWARDS``.
    """

    prompt_ids: Sequence[str]
    points: np.ndarray
    open: np.ndarray
    recipes: Sequence[Recipe]
    routed: int
    ask: Ask
    rewards: Callable[[pa.Table], pa.Table]

    @property
    def teachers(self) -> list[str]:
        """The pool's names."""
        return [recipe.teacher for recipe in self.recipes]


def answer_adaptively(
    calibration: Calibration, settings: AdaptiveSettings, seed: int
) -> tuple[pa.Table, pa.Table]:
    """Return all responses, grouped by teacher in the prompts' order, and the calls made now.

    The responses note what was asked (``designs.asked``), and why no more was.
    """
    teachers, ids = calibration.teachers, calibration.prompt_ids
    note = Asked(teachers, settings.first, seed, {"batches": 0})
    groups = similar_prompts(calibration.points, settings.groups, seed)
    more = note.first(ids)
    asked, pool = np.zeros_like(more), np.ones(len(teachers), bool)
    tables: list[pa.Table] = []
    calls: list[pa.Table] = []
    dropped: dict[str, int] = {}
    why = ""
    while not why:
        asked |= more
        responses, made = calibration.ask(more)
        tables.append(responses)
        calls.append(made)
        so_far = pa.concat_tables(tables)
        rewards = _matrix(calibration.rewards(with_asked(so_far, note)), calibration)
        belief = believe(calibration.points, groups, rewards, settings.shrinkage)
        for k in _drop(belief, calibration, pool, settings):
            dropped[teachers[k]] = int(asked.sum())
        more, why = _next(calibration, settings, belief, groups, asked, pool, so_far, seed)
    told = {
        "batches": len(tables) - 1,
        "answers": int(asked.sum()),
        "of": asked.size,
        "dropped": dropped,
        "why": why,
    }
    log.info("Asked %(answers)d of %(of)d pairs of a prompt and a teacher: %(why)s", told)
    count = sum(unsettled_rows(table.schema) for table in tables)
    table = with_unsettled(_in_order(pa.concat_tables(tables), teachers, ids), count)
    return with_asked(table, Asked(teachers, settings.first, seed, told)), sum_calls(
        calls, teachers
    )


def _drop(
    belief: Belief, calibration: Calibration, pool: np.ndarray, settings: AdaptiveSettings
) -> list[int]:
    """Take the teachers that are best nowhere out of ``pool``, and return them."""
    found = np.flatnonzero(best_nowhere(belief.of(calibration.open), pool, settings.confidence))
    pool[found] = False
    for k in found.tolist():
        log.warning(
            "Teacher %s is the best for no kind of prompt (confidence %g) and is asked no more",
            calibration.teachers[k],
            settings.confidence,
        )
    return found.tolist()


def _next(
    calibration: Calibration,
    settings: AdaptiveSettings,
    belief: Belief,
    groups: np.ndarray,
    asked: np.ndarray,
    pool: np.ndarray,
    responses: pa.Table,
    seed: int,
) -> tuple[np.ndarray, str]:
    """Return (n, K) bool, what to ask next, and why nothing, if so."""
    ids, spent = calibration.prompt_ids, _spent(responses, calibration)
    more, own = np.zeros_like(asked), calibration.open
    size = max(1, round(settings.batch * len(ids)))
    candidates = own[:, None] & pool & ~asked
    chosen = next_batch(belief, groups, candidates, spent.each, size, ids, seed, pool)
    if not len(chosen):
        return more, "there is nothing left to ask"
    room = spent.room(settings.budget, chosen[:, 1])
    if not room.any():
        return more, "label.design.adaptive.budget is used up"
    before = max(1, int(asked[own].sum()))
    saving = expected_saving(belief.of(own), pool, before, len(chosen), seed)
    saved = settings.reward_worth * calibration.routed * saving * float(spent.each.mean())
    price = float(spent.each[chosen[:, 1]].sum())
    if saved < price:
        return more, (
            f"{len(chosen)} more answers take about {price:.0f} tokens, and the regret that they "
            f"are expected to save ({saving:.2g} for each of {calibration.routed} prompts) is "
            f"worth {saved:.0f}"
        )
    more[tuple(chosen[room].T)] = True
    return more, ""


@dataclass(frozen=True)
class _Spent:
    """Tokens and cost so far; ``each`` and ``prices``: (K,) mean tokens and cost of an answer."""

    tokens: float
    cost: float
    each: np.ndarray
    prices: np.ndarray

    def room(self, budget: Budget, teachers: np.ndarray) -> np.ndarray:
        """Return (b,) bool: which of the calls, (b,) teachers in order, the budget has room for."""
        room = np.ones(len(teachers), bool)
        if budget.max_tokens is not None:
            room &= self.tokens + np.cumsum(self.each[teachers]) <= budget.max_tokens
        if budget.max_cost is not None:
            room &= self.cost + np.cumsum(self.prices[teachers]) <= budget.max_cost
        return room


def _spent(responses: pa.Table, calibration: Calibration) -> _Spent:
    """Add up what all answers so far took, whenever they were paid for."""
    tokens, costs, counts = (np.zeros(len(calibration.recipes)) for _ in range(3))
    columns = ["teacher", "prompt_tokens", "completion_tokens", "cached_prompt_tokens"]
    places = {name: k for k, name in enumerate(calibration.teachers)}
    for row in responses.select(columns).to_pylist():
        k = places[row["teacher"]]
        prompt, completion = row["prompt_tokens"], row["completion_tokens"]
        tokens[k] += prompt + completion
        cached = row["cached_prompt_tokens"] or 0
        costs[k] += calibration.recipes[k].cost(prompt, completion, cached)
        counts[k] += 1
    each = np.maximum(counts, 1)
    return _Spent(tokens.sum(), costs.sum(), np.maximum(tokens / each, 1.0), costs / each)


def _matrix(rewards: pa.Table, calibration: Calibration) -> np.ndarray:
    """Return the (n, K) rewards in the calibration's order."""
    ids, matrix = reward_matrix(rewards, calibration.teachers)
    places = {prompt_id: i for i, prompt_id in enumerate(ids)}
    return matrix[[places[prompt_id] for prompt_id in calibration.prompt_ids]]


def _in_order(table: pa.Table, teachers: Sequence[str], ids: Sequence[str]) -> pa.Table:
    """Return responses by teacher, prompt and sample, as one request for all would."""
    of_teacher = {name: k for k, name in enumerate(teachers)}
    of_prompt = {prompt_id: i for i, prompt_id in enumerate(ids)}
    keys = [
        (of_teacher[row["teacher"]], of_prompt[row["prompt_id"]], row["sample_index"])
        for row in table.select(["teacher", "prompt_id", "sample_index"]).to_pylist()
    ]
    return table.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__), pa.int64()))
