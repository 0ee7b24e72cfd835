"""Trace one row of the training set back to its prompt, router and teacher."""

from collections.abc import Callable
from typing import Any

import pyarrow.compute as pc

from persyn_kedro.domain.routers.assignment import pool_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.references import spoken

Load = Callable[[str], Any]
_OF_PROMPT = ("prompt_id", "prompt", "messages", "kept")


def trace(prompt_id: str, load: Load) -> dict[str, Any]:
    """Return the origin of a prompt's training row.

    Args:
        prompt_id: complete, or a unique prefix.
        load: returns a catalog dataset by name, in matching versions.

    Raises:
        PersynError: no row or several rows match.
    """
    dataset = load("sft_dataset")
    begun = pc.starts_with(pc.field("prompt_id"), prompt_id)
    found = set(dataset.to_table(columns=["prompt_id"], filter=begun)["prompt_id"].to_pylist())
    if len(found) != 1:
        raise PersynError(
            f"{len(found)} rows of sft_dataset have a prompt_id that begins with {prompt_id!r}; "
            "give a prefix that matches exactly one."
        )
    (full,) = found
    row, response = _only(dataset, full), _only(load("routed_responses"), full)
    prompt, assignment = _only(load("prompts"), full), _only(load("assignments"), full)
    teachers = [member["teacher"] for member in pool_of(load("assignments").schema)]
    rewards = _rows(load("rewards"), full)
    return {
        "prompt": {
            **{k: prompt[k] for k in _OF_PROMPT if prompt[k] is not None},
            "reference": spoken(prompt),
            "source": prompt["source"],
        },
        "split": prompt["split"],
        "router": {
            "scores": dict(zip(teachers, assignment["scores"], strict=True)),
            "choice": assignment["teacher"],
        },
        "calibration_rewards": {r["teacher"]: r["reward"] for r in rewards} or None,
        "response": {
            key: response[key]
            for key in (
                "teacher", "rank", "response_key", "finish_reason", "engine", "prompt_tokens",
                "completion_tokens", "quality",
            )
        },
        "teacher": load("response_store").identity(response["weights_id"], response["recipe_id"]),
        "trained_on": {"part": row["part"], "completion": row["completion"][0]["content"]},
    }  # fmt: skip


def _rows(dataset: Any, prompt_id: str) -> list[dict[str, Any]]:
    return dataset.to_table(filter=pc.field("prompt_id") == prompt_id).to_pylist()


def _only(dataset: Any, prompt_id: str) -> dict[str, Any]:
    rows = _rows(dataset, prompt_id)
    if len(rows) != 1:
        raise PersynError(
            f"The tables do not match: one has {len(rows)} rows for prompt {prompt_id} instead of "
            "1. Run the later steps again."
        )
    return rows[0]
