"""Which train prompts are worth a teacher's answer, in which round (METHOD.md, section 3)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.left_out import EARLIER, KEPT, LATER, OFF_FRONTIER, SOLVED
from persyn_kedro.domain.prompts.select import ANSWERED, within
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import FocusSettings
from persyn_kedro.foundations.tables.schemas import FOCUS

VERSION = 1  # raise it when the same inputs give another result

ROUNDING = 1e-9  # in pass rates


def round_schedule(
    prompts: pads.Dataset,
    rounds: RoundsSettings,
    seed: int,
    number: int = 1,
    before: pads.Dataset | None = None,
) -> pa.Table:
    """Return which calibration and train prompts a round uses, by a hash of seed and prompt.

    The first round uses all calibration prompts and its share of the train prompts; a later round
    its share of those that no round before it has used.

    Args:
        prompts: ``schemas.PROMPTS``.
        number: of the round, from 1.
        before: ``schemas.FOCUS`` of the round before it, if any.

    Returns:
        A table of ``prompt_id``, ``why`` (kept, later_round or earlier_round), and ``checkable``,
        which says whether it is a train prompt of this round with a reference.

    Raises:
        PersynError: a later round has no prompts.
    """
    train, known = pads.field("split") == "train", pads.field("reference").is_valid()
    columns = {"prompt_id": pads.field("prompt_id"), "train": train, "checkable": train & known}
    table = prompts.to_table(columns=columns, filter=within(prompts, ANSWERED))
    ids, unused = table["prompt_id"], table["train"].to_numpy()
    if before is not None:
        waiting = pads.field("why") == LATER
        found = before.to_table(columns=["prompt_id"], filter=waiting)["prompt_id"]
        unused = unused & pc.is_in(ids, value_set=found).to_numpy()
    share = rounds.share or 1 / rounds.count
    draws = np.array([unit_draw(seed, "round", i) for i in ids.to_pylist()])
    turns = np.where(unused, np.floor(draws / share) + 1, 1)
    if number > 1 and not (turns == number).any():
        raise PersynError(
            f"No train prompts are left for round {number}: the rounds before it used them all. "
            f"Run `kedro run` with rounds.count: {rounds.count}, so that they leave some."
        )
    why = np.select([turns == number, turns > number], [KEPT, LATER], EARLIER)
    checkable = table["checkable"].to_numpy() & (why == KEPT)
    return pa.table({"prompt_id": ids, "why": why, "checkable": checkable})


def focus_table(
    schedule: pa.Table, rates: pa.Table | None, focus: FocusSettings, seed: int
) -> pa.Table:
    """Return ``schemas.FOCUS``: the schedule without what is left out for its pass rate.

    With the pass rate p, ``failed`` leaves out a prompt with p of at least ``solved``, and
    ``frontier`` keeps one with the probability 4 p (1 - p), by a hash of seed and prompt. A prompt
    of unknown p stays.

    Args:
        schedule: as returned by ``round_schedule``.
        rates: columns ``prompt_id``, ``answers`` and ``pass_rate``; None: nobody was asked.

    Raises:
        PersynError: no prompt is left.
    """
    ids, why = schedule["prompt_id"], schedule["why"].to_numpy().copy()
    if rates is None:
        nothing = [pa.nulls(len(ids), FOCUS.field(name).type) for name in ("answers", "pass_rate")]
        return pa.table([ids, pa.array(why, pa.string()), *nothing], schema=FOCUS)
    rates = rates.take(pc.index_in(ids, value_set=rates["prompt_id"]))
    p = rates["pass_rate"].to_numpy()  # NaN if unknown
    known = np.flatnonzero(np.isfinite(p))
    if focus.keep == "failed":
        why[known[p[known] >= focus.solved - ROUNDING]] = SOLVED
    else:
        draws = [unit_draw(seed, "frontier", ids[place].as_py()) for place in known.tolist()]
        why[known[np.array(draws) >= 4 * p[known] * (1 - p[known])]] = OFF_FRONTIER
    if not (why == KEPT).any():
        raise PersynError(
            f"route.focus.keep: {focus.keep} leaves no prompt of this round to answer: the "
            f"student's mean pass rate is {np.nanmean(p):.3f}. Set it to all, or add prompts."
        )
    columns = [ids, pa.array(why, pa.string()), rates["answers"], rates["pass_rate"]]
    return pa.table(columns, schema=FOCUS)
