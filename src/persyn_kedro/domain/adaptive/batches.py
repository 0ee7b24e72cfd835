"""Ask batch by batch until more answers are not worth it (METHOD.md, section 1, "Designs").

All that is decided follows from the answers, which are stored as they come: after a kill the same
decisions are made again from the store, and asking goes on where it stopped.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.adaptive.belief import Belief, believe, similar_prompts
from persyn_kedro.domain.adaptive.calibration import Calibration
from persyn_kedro.domain.adaptive.choosing import best_nowhere, expected_saving, next_batch
from persyn_kedro.domain.adaptive.first import ask_first
from persyn_kedro.domain.adaptive.spent import spent_on
from persyn_kedro.domain.designs.asked import Asked, with_asked
from persyn_kedro.domain.rewards.reward import NOT_ASKED, reward_matrix
from persyn_kedro.domain.teachers.result import sum_calls
from persyn_kedro.foundations.settings.design import AdaptiveSettings
from persyn_kedro.foundations.tables.schemas import unsettled_rows, with_unsettled

VERSION = 3  # raise it when the same answers lead to other decisions

log = logging.getLogger(__name__)

USED_UP = "label.design.adaptive.budget is used up"


def answer_adaptively(
    calibration: Calibration, settings: AdaptiveSettings, seed: int
) -> tuple[pa.Table, pa.Table]:
    """Return all responses, grouped by teacher in the prompts' order, and the calls made now.

    The responses note what was asked (``designs.asked``), and why no more was.
    """
    teachers, ids = calibration.teachers, calibration.prompt_ids
    note = Asked(teachers, settings.first, seed, {"batches": 0})
    groups = similar_prompts(calibration.points, settings.groups, seed)
    first = note.first(ids)
    tables, calls, asked = ask_first(calibration, first, settings.budget, seed)
    begun, pool = len(tables), np.ones(len(teachers), bool)
    dropped: dict[str, int] = {}
    why = "" if (asked == first).all() else USED_UP
    while not why:
        so_far = pa.concat_tables(tables)
        rewards = _matrix(calibration.rewards(with_asked(so_far, note)), calibration)
        share = _size(calibration, settings) / max(1, int(asked[calibration.open].sum()))
        belief = believe(calibration.points, groups, rewards, settings.shrinkage, share)
        for k in _drop(belief, calibration, pool, settings):
            dropped[teachers[k]] = int(asked.sum())
        more, why = _next(calibration, settings, belief, groups, asked, pool, so_far, seed)
        if not why:
            asked |= more
            for into, made in zip((tables, calls), calibration.ask(more), strict=True):
                into.append(made)
    told = {
        "version": VERSION,
        "batches": len(tables) - begun,
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
    ids, spent = calibration.prompt_ids, spent_on(responses, calibration.recipes)
    more, own = np.zeros_like(asked), calibration.open
    size = _size(calibration, settings)
    candidates = own[:, None] & pool & ~asked
    chosen = next_batch(belief, groups, candidates, spent.each, size, ids, seed, pool)
    if not len(chosen):
        return more, "there is nothing left to ask"
    room = spent.room(settings.budget, chosen[:, 1])
    if not room.any():
        return more, USED_UP
    saving = expected_saving(belief.of(own), pool, seed) * len(chosen) / size
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


def _size(calibration: Calibration, settings: AdaptiveSettings) -> int:
    """Return the answers of a batch, at most."""
    return max(1, round(settings.batch * len(calibration.prompt_ids)))


def _matrix(rewards: pa.Table, calibration: Calibration) -> np.ndarray:
    """Return the (n, K) rewards in the calibration's order, of the open prompts.

    Those held out measure the router that the answers are for: nothing is decided by them.
    """
    ids, matrix = reward_matrix(rewards, calibration.teachers)
    places = {prompt_id: i for i, prompt_id in enumerate(ids)}
    own = matrix[[places[prompt_id] for prompt_id in calibration.prompt_ids]]
    return np.where(calibration.open[:, None], own, NOT_ASKED)


def _in_order(table: pa.Table, teachers: Sequence[str], ids: Sequence[str]) -> pa.Table:
    """Return responses by teacher, prompt and sample, as one request for all would."""
    of_teacher = {name: k for k, name in enumerate(teachers)}
    of_prompt = {prompt_id: i for i, prompt_id in enumerate(ids)}
    keys = [
        (of_teacher[row["teacher"]], of_prompt[row["prompt_id"]], row["sample_index"])
        for row in table.select(["teacher", "prompt_id", "sample_index"]).to_pylist()
    ]
    return table.take(pa.array(sorted(range(len(keys)), key=keys.__getitem__), pa.int64()))
