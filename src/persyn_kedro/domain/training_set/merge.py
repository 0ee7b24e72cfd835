"""The merged training set, in the conversational form that TRL and others read."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.model_parameters import Think
from persyn_kedro.foundations.rendering import visible_text


def build_sft_dataset(
    routed: pa.Table,
    prompts: dict[str, dict[str, Any]],
    scores: dict[str, list[float]],
    rewards: dict[tuple[str, str], float | None],
    thinks: dict[str, Think],
    system: str | None,
    allow_truncated: bool,
    unsolved: frozenset[str] = frozenset(),
) -> pa.Table:
    """Return ``schemas.SFT_DATASET``, in the order of ``prompts``.

    Left out: errors, empty responses, truncated ones unless allowed, and ``unsolved`` prompts.

    Args:
        routed: rows of ``schemas.ROUTED_RESPONSES``.
        prompts: rows of ``schemas.PROMPTS`` with ``split`` and ``part``, by prompt_id.
        rewards: by (prompt_id, teacher), known for calibration prompts.
        thinks: each teacher's ``think`` setting.
        system: the student's own system prompt.
    """
    chosen = {row["prompt_id"]: row for row in routed.to_pylist()}
    rows = []
    for prompt_id, prompt in prompts.items():
        row = chosen.get(prompt_id)
        if row is None or prompt_id in unsolved:
            continue
        text = trainable_text(row, thinks[row["teacher"]], allow_truncated)
        if text is not None:
            rows.append(_example(row, prompt, text, system, scores, rewards))
    return pa.Table.from_pylist(rows, schemas.SFT_DATASET)


def trainable_text(row: Mapping[str, Any], think: Think, allow_truncated: bool) -> str | None:
    """Return what a student is trained on of a response, None where that is nothing."""
    if not is_trainable(row, allow_truncated):
        return None
    text = visible_text(row["response"], think)
    return text if text.strip() else None


def is_trainable(row: Mapping[str, Any], allow_truncated: bool) -> bool:
    """Tell whether a response ended by itself, or by its length where that is allowed."""
    return row["finish_reason"] == "stop" or (allow_truncated and row["finish_reason"] == "length")


def _example(
    row: dict[str, Any],
    prompt: dict[str, Any],
    text: str,
    system: str | None,
    scores: dict[str, list[float]],
    rewards: dict[tuple[str, str], float | None],
) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt["prompt"]}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {
        "prompt": messages,
        "completion": [{"role": "assistant", "content": text}],
        "teacher": row["teacher"],
        "scores": scores[row["prompt_id"]],
        "reward": rewards.get((row["prompt_id"], row["teacher"])),
        "prompt_id": row["prompt_id"],
        "response_key": row["response_key"],
        # Calibration prompts are trained on too; only withheld ones are kept out.
        "part": "withheld" if prompt["part"] == "withheld" else "sft",
    }
