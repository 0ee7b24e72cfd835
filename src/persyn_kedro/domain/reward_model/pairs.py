"""Preference pairs that need no judge: a right answer is preferred to a wrong one."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.training_set.merge import trainable_text
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import PROMPT

VERSION = 1  # raise it when the same inputs give another result


def check_pairs(label: LabelSettings) -> None:
    """Refuse labels that do not say which answers are right.

    Raises:
        PersynError: names the setting.
    """
    if [way.kind for way in label.ways] != ["exact_answer"]:
        raise PersynError(
            "A reward model is trained on answers known to be right or wrong. Set label.quality to "
            "{kind: exact_answer} and label prompts that have references."
        )


def preference_pairs(
    responses: pa.Table,
    quality: pa.Table,
    prompts: Sequence[Mapping[str, Any]],
    thinks: Mapping[str, Think],
    per_prompt: int,
    seed: int,
) -> pa.Table:
    """Return ``schemas.PREFERENCE_PAIRS``: up to ``per_prompt`` pairs per prompt.

    Failed, truncated or empty responses are in no pair; equal texts count once.

    Args:
        responses: rows of ``schemas.RESPONSES``.
        quality: rows of ``schemas.QUALITY``, 0 or 1.
        prompts: the calibration prompts, rows of ``schemas.PROMPTS``.
        thinks: each teacher's ``think`` setting.
    """
    texts = _texts_by_verdict(responses, quality, thinks)
    rows = []
    for prompt in prompts:
        prompt_id = prompt["prompt_id"]
        both = [
            (right, wrong)
            for right in texts.get((prompt_id, 1.0), ())
            for wrong in texts.get((prompt_id, 0.0), ())
        ]
        drawn = sorted(both, key=lambda pair: unit_draw(seed, "preference", f"{prompt_id}:{pair}"))
        shared = {"prompt_id": prompt_id, **{name: prompt[name] for name in (*PROMPT, "part")}}
        rows += [
            {**shared, "chosen": right, "rejected": wrong} for right, wrong in drawn[:per_prompt]
        ]
    return pa.Table.from_pylist(rows, schemas.PREFERENCE_PAIRS)


def _texts_by_verdict(
    responses: pa.Table, quality: pa.Table, thinks: Mapping[str, Think]
) -> dict[tuple[str, float], dict[str, None]]:
    """Return the distinct right (1) and wrong (0) texts of each prompt, in the table's order."""
    known = {row["response_key"]: row["quality"] for row in quality.to_pylist()}
    texts: dict[tuple[str, float], dict[str, None]] = {}
    for row in responses.to_pylist():
        text = trainable_text(row, thinks[row["teacher"]], allow_truncated=False)
        verdict = known.get(row["response_key"])
        if text is not None and verdict in (0.0, 1.0):
            texts.setdefault((row["prompt_id"], verdict), {})[text] = None
    return texts
