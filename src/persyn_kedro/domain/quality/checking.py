"""Quality of many responses: from the store where known, checked or scored where not."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.quality.exact_answer import exact_answer_quality
from persyn_kedro.domain.quality.reward_model import reward_model_scores
from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.child_process import run_in_child
from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.parameters import QualitySettings, Think
from persyn_kedro.foundations.rendering import visible_text
from persyn_kedro.foundations.weights import ResolvedModel

Key = tuple[str, str]  # response_key, reference_id


def check_quality(
    responses: pa.Table,
    prompts: dict[str, dict[str, Any]],
    thinks: dict[str, Think],
    settings: QualitySettings,
    reward_model: ResolvedModel | None,
    store: QualityStore,
) -> pa.Table:
    """Return the quality of each response that is not an error; null is unknown.

    Args:
        responses: rows of ``schemas.RESPONSES``.
        prompts: rows of ``schemas.PROMPTS`` by prompt_id.
        thinks: each teacher's ``think`` setting.
        reward_model: set if and only if ``settings.kind`` is ``reward_model``.

    Returns:
        A table of ``schemas.QUALITY``.
    """
    rows = [r for r in responses.to_pylist() if r["finish_reason"] != "error"]
    scorer = _scorer(settings, reward_model)
    shelf = settings_id(scorer)
    store.describe(shelf, scorer)
    known = {
        (r["response_key"], r["reference_id"]): r["quality"] for r in store.read(shelf).to_pylist()
    }
    missing: dict[Key, tuple[dict[str, Any], str]] = {}
    for row in rows:
        key = (row["response_key"], _reference_id(prompts[row["prompt_id"]]))
        if key not in known:
            missing[key] = (
                prompts[row["prompt_id"]],
                visible_text(row["response"], thinks[row["teacher"]]),
            )
    fresh = dict(_evaluate(missing, settings, reward_model)) if missing else {}
    if fresh:
        store.append(
            shelf,
            [{"response_key": k, "reference_id": r, "quality": q} for (k, r), q in fresh.items()],
        )
    known |= fresh
    table = [
        {
            "prompt_id": row["prompt_id"],
            "teacher": row["teacher"],
            "response_key": row["response_key"],
            "quality": known[row["response_key"], _reference_id(prompts[row["prompt_id"]])],
        }
        for row in rows
    ]
    return pa.Table.from_pylist(table, schemas.QUALITY)


def _scorer(settings: QualitySettings, reward_model: ResolvedModel | None) -> dict[str, str]:
    if reward_model:
        return {
            "kind": "reward_model",
            "weights_id": reward_model.weights_id,
            "dtype": reward_model.settings.dtype,
            "chat_template": text_id(reward_model.chat_template),
        }
    return {
        "kind": settings.kind,
        "math_verify": version("math-verify"),
        "reasoning_gym": version("reasoning-gym"),
    }


def _reference_id(prompt: dict[str, Any]) -> str:
    """Identify what the answer is checked against: a mended reference is checked anew."""
    return settings_id({"reference": prompt["reference"], "metadata": prompt["metadata"]})


def _evaluate(
    missing: dict[Key, tuple[dict[str, Any], str]],
    settings: QualitySettings,
    reward_model: ResolvedModel | None,
) -> Iterator[tuple[Key, float | None]]:
    if reward_model is None:
        for key, (prompt, response) in missing.items():
            yield (
                key,
                exact_answer_quality(
                    response, prompt["reference"], prompt["source"], prompt["metadata"]
                ),
            )
        return
    requests = [(key, prompt["prompt"], response) for key, (prompt, response) in missing.items()]
    yield from run_in_child(
        reward_model_scores,
        requests,
        reward_model,
        settings.batch_size,
        label=f"reward model {reward_model.name}",
    )
