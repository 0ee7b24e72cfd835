"""Which reward trained the best adapter, and how sure that is (METHOD.md, "Which signal?")."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.students import UNTRAINED, quality_matrices
from persyn_kedro.domain.intervals.bootstrap import resampled_counts
from persyn_kedro.domain.intervals.simultaneous import joint_level_of_differences
from persyn_kedro.domain.intervals.two_way import certainty
from persyn_kedro.foundations.settings.signals import FitSignalSettings

VERSION = 3  # raise it when the same inputs give another result


def recommend(
    trials: pa.Table, notes: Mapping[str, Any], settings: FitSignalSettings, seed: int
) -> dict[str, Any]:
    """Return each candidate's score on the held-out prompts, and the reward to use.

    Prompts whose quality is unknown for any student are left out for all, and counted.

    Args:
        trials: rows of ``schemas.TRIALS``.
        notes: the second result of ``signal_sets``.

    Returns:
        dict: A row for each candidate, the settings' own first, with ``mean``, ``by_seed``,
            ``difference`` from the own with the ``interval`` of ``certainty``, at the ``level`` at
            which all intervals hold at once, and ``wins``, in which share of resampled prompts it
            is the best. ``recommended`` is the best reward, if it is shown to be better than the
            own, else the own.
    """
    scores, _, seeds, unknown = quality_matrices(trials)
    before = scores.pop(UNTRAINED, np.zeros((0, 0)))
    own = notes["own"]
    wins = _wins(scores, settings.resamples, seed)
    differences = {name: scores[name] - scores[own] for name in notes["candidates"] if name != own}
    level = joint_level_of_differences(
        {name: scores[name] for name in (own, *differences)},
        dict.fromkeys(differences, own),
        settings.resamples,
        settings.confidence,
        seed,
    )
    rows = [
        {
            "name": name,
            **about,
            "mean": _mean(scores[name]),
            "by_seed": [_mean(line) for line in scores[name]],
            "wins": wins.get(name),
            **({} if name == own else _difference(differences[name], level)),
        }
        for name, about in notes["candidates"].items()
    ]
    n = scores[own].shape[1]
    found = {
        "n": n,
        "unknown": unknown,
        "seeds": seeds,
        "confidence": settings.confidence,
        "level": level,
        "budget": notes["budget"],
        "untrained": _mean(before),
        "rows": rows,
    }
    best = _best(rows) if n else rows[0]
    shown = "interval" in best and best["interval"] is not None and best["interval"][0] > 0
    chosen = best if shown else rows[0]
    return {
        **found,
        "recommended": {key: chosen[key] for key in ("signal", "alpha")},
        "verdicts": _verdicts(rows, best, shown, found),
        "notes": [
            f"{name} is left out: none of its answers can be trained on."
            for name in notes["left_out"]
        ],
    }


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _difference(pairs: np.ndarray, level: float) -> dict[str, Any]:
    sure = certainty(pairs, level)
    return {
        "difference": _mean(pairs),
        "interval": [sure.low, sure.high] if sure else None,
        "detectable": sure.detectable if sure else None,
    }


def _wins(scores: Mapping[str, np.ndarray], resamples: int, seed: int) -> dict[str, float]:
    """Return in which share of bootstraps over prompts each one's mean is the highest.

    Equals share it.
    """
    means = np.array([values.mean(axis=0) for values in scores.values()])
    n = means.shape[1]
    if not n:
        return {}
    counts = resampled_counts(n, resamples, seed)
    drawn = np.concatenate([block @ means.T for block in counts]) / n
    top = drawn >= drawn.max(axis=1, keepdims=True) - 1e-9
    shares = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    return dict(zip(scores, shares.tolist(), strict=True))


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the reward of the highest mean, the first of equals; single teachers are none."""
    return max((row for row in rows if row["teacher"] is None), key=lambda row: row["mean"])


def _verdicts(
    rows: list[dict[str, Any]], best: Mapping[str, Any], shown: bool, found: Mapping[str, Any]
) -> list[str]:
    own = rows[0]
    if not found["n"]:
        return ["Nothing can be said: the quality of no held-out answer is known."]
    if best is own:
        said = [f"No reward tried trains a better adapter than the settings' own, {_spoken(own)}."]
    else:
        interval = best["interval"]
        ends = "" if interval is None else f" [{interval[0]:+.3f}, {interval[1]:+.3f}]"
        said = [
            f"The best adapter is that of {_spoken(best)}: {best['difference']:+.3f}{ends} against "
            f"the settings' own, {_spoken(own)}; it is the best in {100 * best['wins']:.0f} % of "
            "resampled prompts."
        ]
        said.append(
            f"Recommended: {_setting(best)}."
            if shown
            else f"That is not shown to be better, so keep {_setting(own)}: a true difference "
            f"below {best['detectable'] or 0:.3f} would have been missed more than one time in "
            "five."
        )
    single = [row for row in rows if row["teacher"] and row["mean"] > best["mean"]]
    if single:
        top = max(single, key=lambda row: row["mean"])
        ends = top["interval"]
        said.append(
            f"The adapter of {top['teacher']}'s answers alone has the highest score of all "
            f"({top['mean']:.3f})"
            + ("." if ends and ends[0] > 0 else ", but is not shown to be better than the own.")
        )
    if len(found["seeds"]) == 1:
        said.append("Each adapter was trained with one seed: another could reverse this.")
    return said


def _spoken(row: Mapping[str, Any]) -> str:
    return row["signal"] if not row["alpha"] else f"{row['signal']} with alpha {row['alpha']:g}"


def _setting(row: Mapping[str, Any]) -> str:
    alpha = f"label.alpha: {row['alpha']:g}"
    return f"label.learnability: {row['signal']}, {alpha}" if row["alpha"] else alpha
