"""Trace one row of the training set back to its prompt, router and teacher."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.left_out import KEPT, focus_of
from persyn_kedro.domain.routers.assignment import pool_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.references import spoken

Load = Callable[[str], Any]
_OF_PROMPT = ("prompt_id", "prompt", "messages", "kept")


def trace(prompt_id: str, load: Load, focus: pads.Dataset | None = None) -> dict[str, Any]:
    """Return the origin of a prompt's training row; of several, that of the first and the others.

    Args:
        prompt_id: complete, or a unique prefix.
        load: returns a catalog dataset by name, in matching versions.
        focus: ``schemas.FOCUS``, if it left out prompts.

    Raises:
        PersynError: no row or several rows match; if the prompt was left out, it says why.
    """
    dataset = load("sft_dataset")
    begun = pc.starts_with(pc.field("prompt_id"), prompt_id)
    found = set(dataset.to_table(columns=["prompt_id"], filter=begun)["prompt_id"].to_pylist())
    if not found and focus is not None:
        left_out = focus.to_table(columns=["prompt_id"], filter=begun & (pc.field("why") != KEPT))
        for full in left_out["prompt_id"].to_pylist():
            raise PersynError(f"Prompt {full} has no training row. {focus_of(focus, full)}")
    if len(found) != 1:
        raise PersynError(
            f"{len(found)} rows of sft_dataset have a prompt_id that begins with {prompt_id!r}; "
            "give a prefix that matches exactly one."
        )
    (full,) = found
    rows = _rows(dataset, full)
    responses = {row["response_key"]: row for row in _rows(load("routed_responses"), full)}
    if not all(row["response_key"] in responses for row in rows):
        raise _unlike("routed_responses does not have the answer of a row", full)
    prompt, assignment = _only(load("prompts"), full), _only(load("assignments"), full)
    teachers = [member["teacher"] for member in pool_of(load("assignments").schema)]
    rewards = _rows(load("rewards"), full)
    examples = [_example(row, responses[row["response_key"]]) for row in rows]
    response = responses[rows[0]["response_key"]]
    return {
        "prompt": {
            **{k: prompt[k] for k in _OF_PROMPT if prompt[k] is not None},
            "reference": spoken(prompt),
            "source": prompt["source"],
        },
        "split": prompt["split"],
        **({"focus": focus_of(focus, full)} if focus is not None else {}),
        "router": {
            "scores": dict(zip(teachers, assignment["scores"], strict=True)),
            "choice": assignment["teacher"],
        },
        "calibration_rewards": {r["teacher"]: r["reward"] for r in rewards} or None,
        **examples[0],
        "teacher": load("response_store").identity(response["weights_id"], response["recipe_id"]),
        **({"other_samples": examples[1:]} if len(examples) > 1 else {}),
    }


def _example(row: Mapping[str, Any], response: Mapping[str, Any]) -> dict[str, Any]:
    names = (
        "teacher", "rank", "response_key", "sample_index", "finish_reason", "engine",
        "prompt_tokens", "completion_tokens", "quality",
    )  # fmt: skip
    return {
        "response": {name: response[name] for name in names},
        "trained_on": {"part": row["part"], "completion": row["completion"][0]["content"]},
    }


def _rows(dataset: Any, prompt_id: str) -> list[dict[str, Any]]:
    return dataset.to_table(filter=pc.field("prompt_id") == prompt_id).to_pylist()


def _only(dataset: Any, prompt_id: str) -> dict[str, Any]:
    rows = _rows(dataset, prompt_id)
    if len(rows) != 1:
        raise _unlike(f"one has {len(rows)} rows instead of 1", prompt_id)
    return rows[0]


def _unlike(how: str, prompt_id: str) -> PersynError:
    return PersynError(
        f"The tables do not match for prompt {prompt_id}: {how}. Run the later steps again."
    )
