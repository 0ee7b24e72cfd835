"""The calls that a run will make, per teacher, from settings, prompts and the store."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.planning.known import Known, missing
from persyn_kedro.domain.planning.prompts import NO_IDS, Prompts, Routed
from persyn_kedro.foundations.tables.schemas import PLAN

LABEL, FOCUS, GENERATE, EVALUATE = "label", "focus", "generate", "evaluate"


def plan_calls(
    pool: Sequence[Known],
    prompts: Prompts,
    routed: Mapping[str, Routed] | None,
    samples: int = 1,
    most: int = 1,
) -> list[dict[str, Any]]:
    """Return rows of PLAN: every teacher's calibration calls, then the routed ones.

    METHOD section 4: sum_k S_k n + S (N - n) calls on an empty store. The calibration prompts'
    routed answers are among those from labelling, except those that come after the teacher's S_k
    and those of teachers that an incomplete design did not ask.

    Args:
        routed: by teacher, the prompts that a router sent to it; None without a router: then each
            prompt is equally likely to go to any teacher.
        samples: S, ``generate.at_once``.
        most: ``generate.draws``, which differs if answers are asked for one by one.
    """
    most = max(most, samples)
    labelled = [[prompts.asked_of(known.recipe.teacher)] * known.samples for known in pool]
    all_asked = [[prompts.calibration] * known.samples for known in pool]
    at_most = _once(pool, all_asked if prompts.adaptive else labelled)
    rows = [
        known.row(LABEL, sum(map(len, own)), calls, retried)
        for known, own, calls, retried in zip(
            pool, labelled, _once(pool, labelled), at_most, strict=True
        )
    ]
    if routed is None:
        return rows + [_equal_share(pool, known, prompts, samples, most) for known in pool]
    nothing = Routed(NO_IDS, NO_IDS)
    retried = [_routed_ids(k, routed.get(k.recipe.teacher, nothing), most, prompts) for k in pool]
    wanted = [own[:samples] for own in retried]
    counted = zip(pool, wanted, _once(pool, wanted), _once(pool, retried), strict=True)
    return rows + [known.row(GENERATE, sum(map(len, o)), c, m) for known, o, c, m in counted]


def _routed_ids(known: Known, routed: Routed, samples: int, prompts: Prompts) -> list[pa.Array]:
    """Return by sample index the prompts to answer that labelling has not asked this teacher."""
    asked = pc.is_in(routed.calibration, value_set=prompts.asked_of(known.recipe.teacher))
    lacking = pa.concat_arrays([routed.calibration.filter(pc.invert(asked)), routed.train])
    return [
        lacking if sample < known.samples else pa.concat_arrays([routed.calibration, routed.train])
        for sample in range(samples)
    ]


def _equal_share(
    pool: Sequence[Known], known: Known, prompts: Prompts, samples: int, most: int
) -> dict[str, Any]:
    """Return the expected routed calls of a teacher if each gets as many prompts."""
    wanted = _routed_ids(known, Routed(prompts.calibration, prompts.train), most, prompts)
    lacking = [missing(ids, known.in_store(i)) for i, ids in enumerate(wanted)]
    share = 1 / len(pool)
    responses, calls = share * sum(map(len, wanted[:samples])), share * sum(lacking[:samples])
    return known.row(GENERATE, responses, calls, share * sum(lacking))


def _once(pool: Sequence[Known], wanted: Sequence[Sequence[pa.Array]]) -> list[int]:
    """Return each teacher's calls; what two teachers with one recipe both want is asked once.

    Args:
        wanted: of each teacher, by sample index, the prompts.
    """
    asked: dict[tuple[str, int], list[pa.Array]] = {}
    counts = []
    for known, by_index in zip(pool, wanted, strict=True):
        count = 0
        for sample, ids in enumerate(by_index):
            place = (known.recipe.shelf, sample)
            before = asked.setdefault(place, [known.in_store(sample)])
            count += missing(ids, pa.concat_arrays(before))
            before.append(ids)
        counts.append(count)
    return counts


def generate_then_select(pool: Sequence[Known], prompts: Prompts) -> dict[str, float]:
    """Return calls, tokens and cost of all teachers answering all prompts, on an empty store.

    Each answers as often as in labelling: sum_k S_k N calls.
    """
    count = len(prompts.calibration) + len(prompts.train)
    rows = [known.row(GENERATE, count, known.samples * count) for known in pool]
    return totals(rows)


def range_of_routing(pool: Sequence[Known], prompts: Prompts, samples: int = 1) -> list[float]:
    """Return the lowest and highest expected cost of the routed calls: all to one teacher."""
    costs = [row["cost"] for row in _all_to_one(pool, prompts, samples, samples)]
    return [min(costs), max(costs)]


def _all_to_one(
    pool: Sequence[Known], prompts: Prompts, samples: int, most: int
) -> list[dict[str, Any]]:
    """Return for each teacher the row of PLAN if it were sent every prompt."""
    return [_equal_share([known], known, prompts, samples, most) for known in pool]


def most_cost(
    rows: Sequence[Mapping[str, Any]],
    pool: Sequence[Known],
    prompts: Prompts,
    routed: Mapping[str, Routed] | None,
    most: int = 1,
) -> float:
    """Return the maximum cost of the calls in these rows of PLAN, whatever a router chooses.

    Args:
        most: ``generate.draws``: all of them are counted.
    """
    if routed is not None:
        return totals(rows)["most_cost"]
    label = totals([row for row in rows if row["step"] == LABEL])["most_cost"]
    return label + max(row["most_cost"] for row in _all_to_one(pool, prompts, most, most))


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the sums of the amounts over rows of PLAN."""
    amounts = [field.name for field in PLAN if field.type == pa.float64()]
    return {name: float(np.sum([row[name] for row in rows])) for name in amounts}
