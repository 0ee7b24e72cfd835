"""A teacher's merit on the calibration set, which baselines choose by (METHOD.md)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.designs.asked import Asked, asked_of, of_random_ones

STATISTICS = ["teacher", "tokens", "sum_logp"]


def mean_quality(rewards: pa.Table, teachers: Sequence[str]) -> dict[str, float]:
    """Return each teacher's mean r_q over its responses of known quality (Strong).

    ``rewards`` is a table of ``schemas.REWARDS``; teachers without a known quality are left out. Of
    an adaptive design only what was asked at random counts: the rest was chosen by its merit.
    """
    return _means(of_random_ones(rewards, asked_of(rewards.schema)), "quality", teachers)


def mean_nll(
    statistics: pa.Table,
    teachers: Sequence[str],
    asked: Asked | None = None,
    prompt_ids: Sequence[str] | None = None,
) -> dict[str, float]:
    """Return the student's mean NLL of each teacher's responses, in nats per token (CAR).

    ``statistics`` has the columns ``STATISTICS`` of ``schemas.TOKEN_STATISTICS``: CAR uses the
    likelihood, whatever ``label.learnability`` is. ``asked``: of the rewards (``asked_of``); it
    needs ``prompt_id`` too, and with ``prompt_ids`` all calibration prompts: one whose answers all
    failed has no statistics.
    """
    statistics = of_random_ones(statistics, asked, prompt_ids)
    scored = statistics.filter(pc.greater(statistics["tokens"], 0))
    nll = pc.negate(pc.divide(scored["sum_logp"], scored["tokens"]))
    return _means(scored.append_column("nll", nll), "nll", teachers)


def car_scores(
    quality: Mapping[str, float], nll: Mapping[str, float], beta: float
) -> dict[str, float]:
    """Return CAR's score q / (1 + beta * NLL), q min-max scaled over the teachers.

    If all teachers have equal quality, q = 0.5 throughout, so the lowest NLL wins.
    """
    known = [t for t in quality if t in nll]
    if not known:
        return {}
    low, high = min(quality[t] for t in known), max(quality[t] for t in known)
    spread = high - low
    return {
        t: ((quality[t] - low) / spread if spread > 0 else 0.5) / (1 + beta * nll[t]) for t in known
    }


def _means(rewards: pa.Table, column: str, teachers: Sequence[str]) -> dict[str, float]:
    values: dict[str, list[float]] = {t: [] for t in teachers}
    for row in rewards.select(["teacher", column]).to_pylist():
        if row["teacher"] in values and row[column] is not None and np.isfinite(row[column]):
            values[row["teacher"]].append(row[column])
    return {t: float(np.mean(found)) for t, found in values.items() if found}
