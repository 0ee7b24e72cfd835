"""The answers asked at random, before anything is known, within the budget."""

import logging

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.adaptive.calibration import Calibration
from persyn_kedro.domain.adaptive.spent import spent_on
from persyn_kedro.domain.designs.balanced import drawn_order
from persyn_kedro.foundations.settings.spending import Budget

log = logging.getLogger(__name__)

GROWTH = 4  # times as many prompts as so far, after each portion


def ask_first(
    calibration: Calibration, first: np.ndarray, budget: Budget, seed: int
) -> tuple[list[pa.Table], list[pa.Table], np.ndarray]:
    """Return the responses and the calls by portion, and (n, K) bool what was asked.

    With a budget, what answers take is learnt from as many prompts as there are teachers, which are
    asked in any case; then more are asked as there is room. The order is that of ``balanced``, so
    that the prompts asked are a random part of all, and the teachers balanced among them.

    Args:
        first: (n, K) bool, what is to be asked at random: equally many teachers of each prompt.
    """
    order = np.array(drawn_order(calibration.prompt_ids, seed))
    asked, tables, calls = np.zeros_like(first), list[pa.Table](), list[pa.Table]()
    done, size = 0, len(calibration.recipes) if budget.limits else len(order)
    while done < len(order):
        portion = order[done : done + size]
        if tables:
            teachers = np.nonzero(first[portion])[1]
            spent = spent_on(pa.concat_tables(tables), calibration.recipes)
            room = spent.room(budget, teachers).reshape(len(portion), -1)
            portion = portion[: int(room.all(axis=1).sum())]
        if not len(portion):
            log.warning(
                "label.design.adaptive.budget is used up by the answers that are asked at random: "
                "%d of %d calibration prompts get none",
                len(order) - done,
                len(order),
            )
            break
        more = np.zeros_like(first)
        more[portion] = first[portion]
        asked |= more
        for into, made in zip((tables, calls), calibration.ask(more), strict=True):
            into.append(made)
        done += len(portion)
        size = (GROWTH - 1) * done
    return tables, calls, asked
