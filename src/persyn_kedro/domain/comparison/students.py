"""Students trained on each strategy's set, compared on the same test prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import PERSYN, PERSYN_CHEAP, reference_of
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.intervals.simultaneous import joint_level_of_differences
from persyn_kedro.domain.intervals.two_way import Luck, certainty, common_luck
from persyn_kedro.foundations.settings.compare import ALPHA, CompareSettings

UNTRAINED = "untrained"


def compare_students(trials: pa.Table, settings: CompareSettings, seed: int) -> dict[str, Any]:
    """Return each strategy's score and its difference from PerSyn.

    Test prompts whose quality is unknown for any student are left out for all, and counted. By
    default each interval holds by itself: with many strategies some will miss. With ``intervals:
    simultaneous`` they have the higher ``levels`` at which all of them hold at once
    (``joint_level``), and the luck of a training, which a few seeds of one strategy do not tell
    surely enough for that, is estimated from all strategies that have the same reference
    (``common_luck``).

    Returns:
        dict: ``{"n", "unknown", "seeds", "confidence", "intervals", "levels", "untrained",
            "strategies": {name: …}}``. A strategy has ``mean``, ``by_seed``, ``spread`` (standard
            deviation over seeds, None for one), ``tokens`` (mean length of its students' answers)
            and, except for the reference, ``reference`` and ``difference`` (see ``_difference``).
    """
    scores, lengths, seeds, unknown = quality_matrices(trials)
    untrained = scores.pop(UNTRAINED, None)
    figures: dict[str, dict[str, Any]] = {}
    references = {
        name: reference_of(name) for name in scores if reference_of(name) in scores.keys() - {name}
    }
    levels = _levels(scores, references, settings, seed)
    lucks = _lucks(scores, references) if settings.intervals == "simultaneous" else {}
    for name, values in scores.items():
        means = values.mean(axis=1) if values.size else np.full(len(values), np.nan)
        figures[name] = {
            "mean": _number(means.mean()),
            "by_seed": [_number(mean) for mean in means],
            "spread": _number(means.std(ddof=1)) if len(means) > 1 else None,
            "tokens": lengths[name],
        }
        if name in references:
            pairs = values - scores[references[name]]
            figures[name]["reference"] = references[name]
            figures[name]["difference"] = _difference(
                pairs, levels, settings, seed, lucks.get(references[name])
            )
    n = next(iter(scores.values())).shape[1] if scores else 0
    return {
        "n": n,
        "unknown": unknown,
        "seeds": seeds,
        "confidence": settings.confidence,
        "intervals": settings.intervals,
        "levels": levels,
        UNTRAINED: _number(untrained.mean()) if untrained is not None and n else None,
        "strategies": figures,
    }


def _levels(
    scores: Mapping[str, np.ndarray],
    references: Mapping[str, str],
    settings: CompareSettings,
    seed: int,
) -> dict[str, float]:
    """Return the confidence of each ``interval``, and of each one ``with_seeds``."""
    if settings.intervals == "pointwise":
        return dict.fromkeys(("interval", "with_seeds"), settings.confidence)
    over_prompts = {n: own.mean(axis=0, keepdims=True) for n, own in scores.items() if len(own)}
    drawn = (references, settings.resamples, settings.confidence, seed)
    return {
        "interval": joint_level_of_differences(over_prompts, *drawn),
        "with_seeds": joint_level_of_differences(scores, *drawn),
    }


def _lucks(
    scores: Mapping[str, np.ndarray], references: Mapping[str, str]
) -> dict[str, Luck | None]:
    """Return the luck of the strategies that are compared with each reference."""
    return {
        reference: common_luck(
            [scores[reference], *(scores[n] for n, own in references.items() if own == reference)]
        )
        for reference in dict.fromkeys(references.values())
    }


def _difference(
    pairs: np.ndarray,
    levels: Mapping[str, float],
    settings: CompareSettings,
    seed: int,
    luck: Luck | None,
) -> dict[str, Any] | None:
    """Return the mean of (seeds, prompts) paired differences, and its uncertainty.

    ``interval`` is a paired bootstrap over prompts: it holds for these particular students.
    ``with_seeds`` also allows for other trainings (None for one seed), and ``detectable`` is the
    smallest true difference that would have been found with a probability of 80%. None with fewer
    than two prompts.
    """
    over_prompts = mean_over_prompts(
        pairs.mean(axis=0), settings.resamples, levels["interval"], seed
    )
    # Students of one training set are the same with any seed: there is no luck between them.
    sure = certainty(pairs, levels["with_seeds"], luck if pairs.any() else None)
    if over_prompts is None or sure is None:
        return None
    return {
        **over_prompts.as_dict(),
        "with_seeds": [sure.low, sure.high] if len(pairs) > 1 else None,
        "detectable": sure.detectable,
    }


def quality_matrices(
    trials: pa.Table,
) -> tuple[dict[str, np.ndarray], dict[str, float | None], list[int], int]:
    """Return (seeds, prompts) quality by strategy, mean answer lengths, seeds, prompts left out.

    ``trials`` is a table of ``schemas.TRIALS``; prompts of unknown quality are left out.
    """
    rows = trials.to_pylist()
    prompts = {p: i for i, p in enumerate(dict.fromkeys(row["prompt_id"] for row in rows))}
    names = list(dict.fromkeys(row["strategy"] for row in rows))
    seeds = sorted({row["seed"] for row in rows if row["seed"] is not None})
    place = {s: i for i, s in enumerate(seeds)}
    scores = {
        n: np.full((1 if n == UNTRAINED else len(seeds), len(prompts)), np.nan) for n in names
    }
    tokens: dict[str, list[int]] = {n: [] for n in names}
    for row in rows:
        line = 0 if row["seed"] is None else place[row["seed"]]
        value = np.nan if row["quality"] is None else row["quality"]
        scores[row["strategy"]][line, prompts[row["prompt_id"]]] = value
        tokens[row["strategy"]].append(row["completion_tokens"] or 0)
    if not scores:
        return {}, {}, [], 0
    known = np.isfinite(np.concatenate(list(scores.values()))).all(axis=0)
    lengths = {n: float(np.mean(t)) if t else None for n, t in tokens.items()}
    return {n: s[:, known] for n, s in scores.items()}, lengths, seeds, int((~known).sum())


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def verdicts(
    comparison: Mapping[str, Any], same: Mapping[str, str], unit: str = "points"
) -> list[str]:
    """Say in plain sentences where PerSyn wins, where it does not, and what was detectable.

    Args:
        comparison: what ``compare_students`` returns.
        same: strategies that share another one's training set, and so its students.
        unit: ``points`` (out of a hundred) or the name of a score that is shown as is.
    """
    rivals = {
        name: figures
        for name, figures in comparison["strategies"].items()
        if figures.get("reference") == PERSYN
        and not name.startswith(ALPHA)
        and name != PERSYN_CHEAP
        and same.get(name) != PERSYN
    }
    if not rivals:
        return []
    told = {n: f["difference"] for n, f in rivals.items() if f["difference"] is not None}
    if not told:
        return ["Nothing can be said about PerSyn: too few test answers could be judged."]
    scale = 100 if unit == "points" else 1
    groups: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for name, difference in told.items():
        text = f"{name} (PerSyn {-scale * difference['value']:+.1f} {unit})"
        groups[_standing(difference)].append(text)
    return _sentences(groups, scale * max(d["detectable"] for d in told.values()), unit, comparison)


def _standing(difference: Mapping[str, Any]) -> str:
    """Return how PerSyn compares with a strategy, by the interval that allows for other seeds."""
    low, high = difference["with_seeds"] or difference["interval"]
    return "better" if high < 0 else "worse" if low > 0 else "open"


def _sentences(
    groups: Mapping[str, Sequence[str]], detectable: float, unit: str, comparison: Mapping[str, Any]
) -> list[str]:
    sentences = []
    if groups["better"]:
        sentences.append(f"PerSyn's student is better than that of {', '.join(groups['better'])}.")
    if groups["worse"]:
        names = ", ".join(groups["worse"])
        sentences.append(f"PerSyn does not win: its student is worse than that of {names}.")
    if groups["open"]:
        sentences.append(
            f"PerSyn's student is not shown to be better than that of {', '.join(groups['open'])}."
        )
    if groups["open"] and detectable:
        sentences.append(
            f"With these prompts and seeds, a true difference below {detectable:.1f} {unit} would "
            "have been missed more than one time in five."
        )
    if len(comparison["seeds"]) == 1:
        sentences.append(
            "Each student was trained with only one seed: another seed could reverse any of this."
        )
    return sentences
