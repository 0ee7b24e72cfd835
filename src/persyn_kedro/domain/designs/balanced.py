"""Which teachers are asked which prompts: at random, balanced (METHOD.md, section 1, "Designs")."""

from collections.abc import Sequence

import numpy as np

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.teachers import Teachers


def balanced(
    prompt_ids: Sequence[str], teachers: Sequence[str], count: int | None, seed: int
) -> np.ndarray:
    """Return (n, K) bool: which prompts are asked of which teachers, ``count`` of each prompt.

    The numbers of prompts of two teachers differ by at most 1. Among the teachers with the fewest
    prompts so far, one is taken that shares the fewest with those already taken; ties are drawn.
    The result depends only on the set of prompts, the teachers' names and the seed.

    Args:
        prompt_ids: n of them, in any order.
        count: None: all teachers.
    """
    asked = np.ones((len(prompt_ids), len(teachers)), bool)
    if count is None or count >= len(teachers):
        return asked
    asked[:] = False
    loads = np.zeros(len(teachers), int)
    shared = np.zeros((len(teachers), len(teachers)), int)
    for i in drawn_order(prompt_ids, seed):
        draws = [_draw(seed, f"{prompt_ids[i]}:{teacher}") for teacher in teachers]
        taken: list[int] = []
        for _ in range(count):
            left = [k for k in range(len(teachers)) if k not in taken]
            taken.append(min(left, key=lambda k: (loads[k], shared[k, taken].sum(), draws[k])))
        asked[i, taken] = True
        loads[taken] += 1
        shared[np.ix_(taken, taken)] += 1
    return asked


def drawn_order(prompt_ids: Sequence[str], seed: int) -> list[int]:
    """Return the order in which ``balanced`` takes prompts: those before one decide, not others."""
    return sorted(range(len(prompt_ids)), key=lambda i: _draw(seed, prompt_ids[i]))


def asked_prompts(
    prompt_ids: Sequence[str], teachers: Sequence[str], label: LabelSettings, seed: int
) -> dict[str, list[str]]:
    """Return by teacher the prompts that it is asked at random; empty for a full design."""
    if label.design.at_random is None:
        return {}
    asked = balanced(prompt_ids, teachers, label.design.at_random, seed)
    return {
        teacher: [prompt_ids[i] for i in np.flatnonzero(asked[:, k]).tolist()]
        for k, teacher in enumerate(teachers)
    }


def check_design(teachers: Teachers, label: LabelSettings) -> None:
    """Refuse a design that asks more teachers of a prompt than there are, or cannot be normalised.

    One that asks only some cannot tell which prompts no teacher solves either. To leave out those
    that the asked ones fail would leave out the failures of some teachers and not of others, so
    that the weak would look better the more often they are asked beside other weak ones.

    Raises:
        PersynError: names the setting.
    """
    wanted, count = label.design.at_random, len(teachers.root)
    comparing = [way.mode for way in label.ways if way.compares]
    if label.design.adaptive is not None and comparing:
        raise PersynError(
            "label.design is adaptive, which judges answers as they come, but mode "
            f"{comparing[0]} of label.quality compares a prompt's answers with each other: set it "
            "to score."
        )
    if wanted is None:
        return
    if not label.normalise.startswith("pool"):
        raise PersynError(
            "label.design asks only some of the teachers of each prompt, so label.normalise must "
            f"be pool_z or pool_rank, not {label.normalise}, whose scale would depend on who was "
            "asked."
        )
    if label.unsolved == "leave_out" and wanted < count:
        raise PersynError(
            "label.unsolved is leave_out, but label.design asks only some of the teachers of each "
            "prompt, so whether another one solves it is not known: set label.unsolved to keep "
            "(generate.verification: drop leaves out wrong answers), or label.design to full."
        )
    if wanted > count:
        key = "adaptive.first" if label.design.adaptive else "teachers_per_prompt"
        raise PersynError(f"label.design.{key} is {wanted}, but there are only {count} teachers.")


def check_each_is_asked(asked: np.ndarray, teachers: Sequence[str]) -> None:
    """Refuse a design in which a teacher answers no prompt at all.

    Raises:
        PersynError: names the first such teacher.
    """
    for teacher, some in zip(teachers, asked.sum(axis=0).tolist(), strict=True):
        if not some:
            raise PersynError(
                f"label.design asks teacher {teacher!r} nothing: there are too few calibration "
                f"prompts ({len(asked)}). Add prompts, or ask more teachers of each prompt."
            )


def _draw(seed: int, item: str) -> float:
    return unit_draw(seed, "design", item)
