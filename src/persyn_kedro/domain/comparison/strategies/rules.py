"""Who answers what under each strategy: METHOD.md, "Baselines". This makes no API calls.

A strategy's *choices* are, for each prompt, the teachers in the order in which they are called:
the first one answers, the others only if the settings verify answers and retry with the next.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from persyn_kedro.domain.routers.assignment import ranked_teachers
from persyn_kedro.foundations.hashing import unit_draw

Choices = dict[str, list[str]]  # {prompt_id: teachers, first choice first}


def routed(scores: Mapping[str, Sequence[float]], teachers: Sequence[str]) -> Choices:
    """Return PerSyn's choices: teachers by descending score, ties in the settings' order."""
    return {prompt_id: ranked_teachers(values, teachers) for prompt_id, values in scores.items()}


def by_merit(merits: Mapping[str, float], teachers: Sequence[str]) -> list[str]:
    """Return the teachers by descending merit, ties in the settings' order, unknown merits last."""
    known = [merits.get(t, float("nan")) for t in teachers]
    return ranked_teachers(np.nan_to_num(known, nan=-np.inf).tolist(), teachers)


def choice_places(choices: Iterable[Sequence[str]], teachers: Sequence[str]) -> np.ndarray:
    """Return choices as (n, R) indices into ``teachers``, -1 after a prompt's last one."""
    place = {teacher: k for k, teacher in enumerate(teachers)}
    lines = [[place[teacher] for teacher in line] for line in choices]
    places = np.full((len(lines), max(map(len, lines), default=0)), -1)
    for own, line in zip(places, lines, strict=True):
        own[: len(line)] = line
    return places


def same_for_all(prompt_ids: Sequence[str], ranking: Sequence[str]) -> Choices:
    """Return the same ranking for every prompt (Strong, Family-Strong, CAR)."""
    return {prompt_id: list(ranking) for prompt_id in prompt_ids}


def mix(
    prompt_ids: Sequence[str], strong: str, weak: str, strong_share: float, seed: int
) -> Choices:
    """Return Mix: a random share of the prompts goes to ``strong``, the others to ``weak``.

    Exactly ``round(share * n)`` prompts go to ``strong``: those with the lowest hash draws.
    """
    drawn = sorted(prompt_ids, key=lambda p: (unit_draw(seed, "mix", p), p))
    favoured = set(drawn[: round(strong_share * len(drawn))])
    pair = list(dict.fromkeys([strong, weak]))
    return {p: pair if p in favoured else pair[::-1] for p in prompt_ids}


def at_random(prompt_ids: Sequence[str], teachers: Sequence[str], seed: int) -> Choices:
    """Return a random order of the teachers for each prompt, fixed by seed and prompt."""

    def draw(prompt_id: str, teacher: str) -> float:
        return unit_draw(seed, "random teacher", f"{prompt_id}:{teacher}")

    return {p: sorted(teachers, key=lambda t: draw(p, t)) for p in prompt_ids}


def oracle(prompt_ids: Sequence[str], rewards: np.ndarray, teachers: Sequence[str]) -> Choices:
    """Return the teachers by descending true reward; omits prompts without a valid response.

    ``rewards`` is (n, K) float64 in the order of ``prompt_ids`` and ``teachers``, NaN if invalid.
    """
    return {
        prompt_id: [
            teacher
            for teacher in ranked_teachers(np.nan_to_num(row, nan=-np.inf).tolist(), teachers)
            if np.isfinite(row[teachers.index(teacher)])
        ]
        for prompt_id, row in zip(prompt_ids, rewards, strict=True)
        if np.isfinite(row).any()
    }


def choices_by_strategy(allocations: pa.Table) -> dict[str, Choices]:
    """Return each strategy's choices from a table of ``schemas.ALLOCATIONS``."""
    found: dict[str, Choices] = {}
    for row in allocations.to_pylist():
        found.setdefault(row["strategy"], {})[row["prompt_id"]] = row["choices"]
    return found
