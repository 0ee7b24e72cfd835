"""The strategies' training sets: the same prompts, and so the same number, for each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.strategies.allocation import ON_CALIBRATION, PERSYN
from persyn_kedro.domain.training_set.merge import trainable_text
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import columns_of

VERSION = 3  # raise it when the same inputs give another result

LATER = "no student is trained (compare.students)"

Sets = dict[str, dict[str, list[dict[str, Any]]]]  # by strategy and prompt_id
Fits = Callable[[Prompt, str], bool]  # (prompt, response): short enough for training


@dataclass(frozen=True)
class Trainable:
    """Which answers the student may be trained on, and as which text.

    Attributes:
        thinks: each teacher's ``think`` setting.
        fits: whether a pair is short enough for SFT.
    """

    thinks: Mapping[str, Think]
    allow_truncated: bool
    fits: Fits

    def text(self, row: Mapping[str, Any], prompt: Prompt) -> str | None:
        """Return the training text of a row of ``schemas.STRATEGY_RESPONSES``, None if unusable."""
        text = trainable_text(row, self.thinks[row["teacher"]], self.allow_truncated)
        return text if text is not None and self.fits(prompt, text) else None


def strategy_examples(
    responses: pa.Table,
    asked: Mapping[str, Sequence[str]],
    prompts: Mapping[str, Prompt],
    trainable: Trainable,
    settings: CompareSettings,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return ``schemas.STRATEGY_EXAMPLES`` in the order of ``prompts``, and what was left out.

    Left out are errors, empty responses, truncated ones unless allowed, and those too long for SFT.
    With ``examples: common`` a prompt without a usable answer in one strategy is left out of all
    strategies that are compared with one another; a strategy with usable answers to less than
    ``min_share`` of its prompts is itself left out instead. Where prompts have several answers
    (``generate.keep: all``), each strategy then has as many of a prompt's as the one with the
    fewest. Strategies that are not among ``settings.students`` take part in this, and are left out
    afterwards.

    Args:
        responses: rows of ``schemas.STRATEGY_RESPONSES``.
        asked: by strategy, the prompt_ids that it should have.
        prompts: by prompt_id.

    Returns:
        tuple: The table, and ``{"prompts": {strategy: number asked}, "usable": {strategy: number of
        prompts with a usable answer}, "left_out": {strategy: why}}``.

    Raises:
        PersynError: PerSyn itself has too few.
    """
    sets = _usable(responses, asked, prompts, trainable)
    left_out = _too_small(sets, asked, settings)
    kept = {name: own for name, own in sets.items() if name not in left_out}
    order = {prompt_id: place for place, prompt_id in enumerate(prompts)}
    rows = []
    left_out.update(dict.fromkeys(_later(kept, settings), LATER))
    for name, own in kept.items():
        if name in left_out:
            continue
        counts = {prompt_id: len(found) for prompt_id, found in own.items()}
        if settings.examples == "common":
            counts = _shared(name, kept)
        for prompt_id in sorted(counts, key=order.__getitem__):
            rows += own[prompt_id][: counts[prompt_id]]
    if not any(row["strategy"] == PERSYN for row in rows):
        least = min(sets, key=lambda name: len(sets[name]))
        raise PersynError(
            f"No prompt has a usable answer in every strategy ({least} has the fewest, "
            f"{len(sets[least])}). Leave that strategy out, or set compare.examples to own."
        )
    return pa.Table.from_pylist(rows, schemas.STRATEGY_EXAMPLES), {
        "prompts": {name: len(ids) for name, ids in asked.items()},
        "usable": {name: len(own) for name, own in sets.items()},
        "left_out": left_out,
    }


def _later(names: Iterable[str], settings: CompareSettings) -> list[str]:
    """Return the strategies whose students are not asked for; they only shape the others' sets."""
    return [name for name in names if name not in (settings.students or names)]


def _usable(
    responses: pa.Table,
    asked: Mapping[str, Sequence[str]],
    prompts: Mapping[str, Prompt],
    trainable: Trainable,
) -> Sets:
    sets: Sets = {name: {} for name in asked}
    for row in responses.to_pylist():
        if row["prompt_id"] not in asked[row["strategy"]]:
            continue
        prompt = prompts[row["prompt_id"]]
        text = trainable.text(row, prompt)
        if text is None:
            continue
        names = ("strategy", "prompt_id", "teacher", "response_key")
        example = {**{name: row[name] for name in names}, **columns_of(prompt), "response": text}
        sets[row["strategy"]].setdefault(row["prompt_id"], []).append(example)
    return sets


def _too_small(
    sets: Sets, asked: Mapping[str, Sequence[str]], settings: CompareSettings
) -> dict[str, str]:
    """Return the strategies that would leave the others almost nothing, and why."""
    found = {}
    for name, own in sets.items():
        if len(own) < max(1, settings.min_share * len(asked[name])):
            found[name] = f"only {len(own)} of its {len(asked[name])} answers are usable"
    if PERSYN in found:
        raise PersynError(
            f"PerSyn cannot be compared: {found[PERSYN]} (compare.min_share is "
            f"{settings.min_share:g})."
        )
    return found


def _shared(strategy: str, sets: Sets) -> dict[str, int]:
    """Return the prompts with usable answers in all strategies of this one's kind, with the fewest
    answers that one of them has."""
    kind = strategy in ON_CALIBRATION
    same_kind = [own for name, own in sets.items() if (name in ON_CALIBRATION) == kind]
    shared = set.intersection(*map(set, same_kind))
    return {prompt_id: min(len(own[prompt_id]) for own in same_kind) for prompt_id in shared}
