"""Students trained on each strategy's set, compared on the same test prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.bootstrap import POWER, mean_over_seeds_and_prompts
from persyn_kedro.domain.strategies.allocation import PERSYN, PERSYN_CALIBRATION, reference_of
from persyn_kedro.foundations.evidence_parameters import CompareSettings

UNTRAINED = "untrained"
Told = tuple[str, Mapping[str, Any]]  # a strategy in words, and its difference


def compare_students(trials: pa.Table, settings: CompareSettings, seed: int) -> dict[str, Any]:
    """Return each strategy's score and its difference to PerSyn.

    Test prompts of unknown quality for any student are left out for all and counted. Intervals are
    paired bootstraps over seeds and prompts, each for itself: with many strategies some will miss.

    Returns:
        ``{"n", "unknown", "seeds", "confidence", "untrained", "strategies": {name: …}}``. A
        strategy has ``mean``, ``by_seed``, ``spread`` (standard deviation over seeds, None for
        one), ``tokens`` (mean length of its students' answers), and, but for the reference itself,
        ``difference`` (to the reference) with ``detectable``: the smallest true difference that
        would have been seen in four cases of five.
    """
    scores, lengths, seeds, unknown = _matrices(trials)
    untrained = scores.pop(UNTRAINED, None)
    figures = {}
    for name, values in scores.items():
        means = values.mean(axis=1) if values.size else np.full(len(values), np.nan)
        figures[name] = {
            "mean": _number(means.mean()),
            "by_seed": [_number(mean) for mean in means],
            "spread": _number(means.std(ddof=1)) if len(means) > 1 else None,
            "tokens": lengths[name],
            **_against(name, scores, settings, seed),
        }
    n = next(iter(scores.values())).shape[1] if scores else 0
    return {
        "n": n,
        "unknown": unknown,
        "seeds": seeds,
        "confidence": settings.confidence,
        UNTRAINED: _number(untrained.mean()) if untrained is not None and n else None,
        "strategies": figures,
    }


def _against(
    name: str, scores: Mapping[str, np.ndarray], settings: CompareSettings, seed: int
) -> dict[str, Any]:
    reference = reference_of(name)
    if name in (PERSYN, PERSYN_CALIBRATION) or reference not in scores:
        return {}
    found = mean_over_seeds_and_prompts(
        scores[name] - scores[reference], settings.resamples, settings.confidence, seed
    )
    if found is None:
        return {}
    return {
        "reference": reference,
        "difference": {**found.as_dict(), "detectable": POWER * found.standard_error},
    }


def _matrices(
    trials: pa.Table,
) -> tuple[dict[str, np.ndarray], dict[str, float | None], list[int], int]:
    """Return (seeds, prompts) quality by strategy, mean answer lengths, seeds, prompts left out."""
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


def verdicts(comparison: Mapping[str, Any], unit: str = "points") -> list[str]:
    """Say in plain sentences where PerSyn wins, where it does not, and what could be seen."""
    scale = 100 if unit == "points" else 1
    better: list[Told] = []
    worse: list[Told] = []
    open_: list[Told] = []
    for name, figures in comparison["strategies"].items():
        difference = figures.get("difference")
        if difference is None or figures["reference"] != PERSYN or name.startswith(PERSYN):
            continue
        low, high = difference["interval"]
        if low == high == 0:  # the same students: a note says so
            continue
        told = f"{name} (PerSyn {-scale * difference['value']:+.1f} {unit})"
        (better if high < 0 else worse if low > 0 else open_).append((told, difference))
    sentences = []
    if better:
        sentences.append(f"PerSyn's student is better than that of {_told(better)}.")
    if worse:
        sentences.append(f"PerSyn does not win: its student is worse than that of {_told(worse)}.")
    if open_:
        seen = scale * max(d["detectable"] for _, d in open_)
        sentences.append(
            f"PerSyn's student is not shown to be better than that of {_told(open_)}: that may be "
            f"chance, and a difference below {seen:.1f} {unit} would mostly have gone unseen with "
            "these prompts and seeds."
        )
    return sentences


def _told(found: Sequence[Told]) -> str:
    return ", ".join(text for text, _ in found)
