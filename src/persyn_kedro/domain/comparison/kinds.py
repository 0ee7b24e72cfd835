"""Students' scores by kind of prompt, which a mean over all kinds hides."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.comparison.students import quality_matrices


def scores_by_kind(trials: pa.Table, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return how each strategy's students do on each kind of test prompts.

    Prompts whose quality is unknown for any student are left out of the scores, as in
    ``compare_students``.

    Args:
        trials: rows of ``schemas.TRIALS``.
        kinds: each prompt's source, by prompt_id.

    Returns:
        list: A kind's ``kind``, ``n`` (test prompts with a score) and, by strategy, ``scores``
            (mean over prompts and seeds, None without any) and ``truncated`` (share of the
            answers), the kinds by name.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, prompt_id in enumerate(trials["prompt_id"].to_pylist()):
        places[kinds[prompt_id]].append(place)
    return [_kind(name, trials.take(places[name])) for name in sorted(places)]


def _kind(name: str, trials: pa.Table) -> dict[str, Any]:
    scores, *_ = quality_matrices(trials)
    cut: defaultdict[str, list[bool]] = defaultdict(list)
    for row in trials.select(["strategy", "finish_reason"]).to_pylist():
        cut[row["strategy"]].append(row["finish_reason"] == "length")
    return {
        "kind": name,
        "n": next(iter(scores.values())).shape[1],
        "scores": {n: float(own.mean()) if own.size else None for n, own in scores.items()},
        "truncated": {n: float(np.mean(own)) for n, own in cut.items()},
    }
