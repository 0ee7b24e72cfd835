"""Ways of judging the same answers side by side (METHOD.md, "Judge against judge")."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.intervals.bootstrap import mean_over_prompts
from persyn_kedro.domain.intervals.rank_correlation import spearman_within
from persyn_kedro.domain.quality_comparison.agreement import order_agreement
from persyn_kedro.domain.quality_comparison.routing import Routed, figures_of_choices, same_choices
from persyn_kedro.domain.quality_comparison.words import notes_of, verdicts_of
from persyn_kedro.foundations.models.rendering import visible_text
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.models import Think

VERSION = 1  # raise it when the same inputs give another result


def compare_judgements(
    judgements: pa.Table,
    thinks: Mapping[str, Think],
    labelled: Labelled,
    settings: CompareQualitySettings,
    seed: int,
) -> dict[str, Any]:
    """Return how far the ways of judging agree, and what each would have routed.

    Args:
        judgements: rows of ``schemas.QUALITY_TERMS``: a term for each way.
        thinks: each teacher's ``think`` setting.
        labelled: the calibration set; its quality is replaced by each way's.

    Returns:
        dict: ``kinds``, a row for each way: ``answers`` judged, ``unknown``, ``length`` (the mean
            over prompts of the rank correlation of quality and length, with its interval), each
            teacher's mean quality and share of the prompts of which it is the best.
            ``pairs``, for each two ways: ``order_agreement`` and ``same_choices``.
            ``choices``: ``figures_of_choices``. Then ``verdicts`` and ``notes``, sentences.
    """
    names = list(dict.fromkeys(judgements["term"].to_pylist()))
    keys, prompts, quality = _vectors(judgements, names)
    routed = {n: _routed(labelled, judgements, n) for n in names}
    lengths = _lengths(labelled.responses, thinks)
    sizes = np.array([lengths[key] for key in keys], dtype=np.float64)
    found: dict[str, Any] = {
        "teachers": list(labelled.teachers),
        "confidence": settings.confidence,
        "prompts": len(set(prompts.tolist())),
        "kinds": [
            {
                "kind": name,
                **_of_answers(quality[name], sizes, prompts, settings, seed),
                **routed[name].by_teacher,
            }
            for name in names
        ],
        "pairs": [
            {
                "first": a,
                "second": b,
                **order_agreement(quality[a], quality[b], prompts, *_drawn(settings, seed)),
                "same": same_choices(routed[a], routed[b], *_drawn(settings, seed)),
            }
            for a, b in combinations(names, 2)
        ],
        "choices": figures_of_choices(routed, *_drawn(settings, seed)),
    }
    return {**found, "verdicts": verdicts_of(found), "notes": notes_of(found)}


def _drawn(settings: CompareQualitySettings, seed: int) -> tuple[int, float, int]:
    return settings.resamples, settings.confidence, seed


def _vectors(
    judgements: pa.Table, names: Sequence[str]
) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Return the answers' keys, their prompts' numbers, and their qualities by each way."""
    prompt_of: dict[str, str] = {}
    qualities: dict[str, dict[str, float]] = {name: {} for name in names}
    for row in judgements.to_pylist():
        prompt_of[row["response_key"]] = row["prompt_id"]
        known = np.nan if row["quality"] is None else row["quality"]
        qualities[row["term"]][row["response_key"]] = known
    numbers = np.unique(list(prompt_of.values()), return_inverse=True)[1]
    found = {
        n: np.array([own.get(key, np.nan) for key in prompt_of]) for n, own in qualities.items()
    }
    return list(prompt_of), numbers, found


def _lengths(responses: pa.Table, thinks: Mapping[str, Think]) -> dict[str, int]:
    """Return the characters of each response's visible text, by response key."""
    rows = responses.select(["response_key", "teacher", "response"]).to_pylist()
    return {
        row["response_key"]: len(visible_text(row["response"], thinks[row["teacher"]]))
        for row in rows
    }


def _of_answers(
    quality: np.ndarray,
    lengths: np.ndarray,
    prompts: np.ndarray,
    settings: CompareQualitySettings,
    seed: int,
) -> dict[str, Any]:
    known = np.isfinite(quality)
    by_prompt = spearman_within(quality[known], lengths[known], prompts[known])
    length = mean_over_prompts(by_prompt, *_drawn(settings, seed))
    return {
        "answers": len(quality),
        "unknown": int((~known).sum()),
        "length": None if length is None else {**length.as_dict(), "prompts": len(by_prompt)},
    }


def _routed(labelled: Labelled, judgements: pa.Table, name: str) -> Routed:
    """Return what labels with this way's quality would have been."""
    own = judgements.filter(pc.field("term") == name).drop_columns(["term"])
    other = Labelled(
        labelled.responses, labelled.statistics, own, labelled.teachers, labelled.label
    )
    return Routed.of(other)
