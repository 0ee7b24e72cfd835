"""Quality of many responses: from the store if known, else checked or scored."""

import logging
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.quality import reward_model as reward_models
from persyn_kedro.domain.quality.exact_answer import VERSION, exact_answer_quality
from persyn_kedro.domain.quality.own_function import function_scores
from persyn_kedro.domain.quality.reward_model import reward_scorer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.models.rendering import reading, visible_text
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.map_blocks import flat, spread
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.settings.plugins import code_identity, is_own
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.messages import prompt_of
from persyn_kedro.foundations.tables.references import accepted

_CHUNK = 256
_BLOCK = 64  # about this many answers are judged together
UNIT = "answers judged"
_logger = logging.getLogger(__name__)

Key = tuple[str, str]  # response_key, reference_id


def check_quality(
    responses: pa.Table,
    prompts: dict[str, dict[str, Any]],
    thinks: dict[str, Think],
    settings: QualitySettings,
    reward_model: ResolvedModel | None,
    store: QualityStore,
    stored: pa.Table | None = None,
) -> pa.Table:
    """Return the quality of each response that is not an error; null if unknown.

    Args:
        responses: rows of ``schemas.RESPONSES``.
        prompts: rows of ``schemas.SOURCE_PROMPTS`` by prompt_id.
        thinks: each teacher's ``think`` setting.
        reward_model: set if and only if ``settings.kind`` is ``reward_model``.
        stored: what ``stored_quality`` returned, for a caller that checks many tables.

    Returns:
        A table of ``schemas.QUALITY``.
    """
    rows = [r for r in responses.to_pylist() if r["finish_reason"] != "error"]
    scorer = _scorer(settings, reward_model)
    shelf = settings_id(scorer)
    store.describe(shelf, scorer)
    stored = store.read(shelf) if stored is None else stored
    own = pc.is_in(stored["response_key"], value_set=responses["response_key"])
    known = {
        (r["response_key"], r["reference_id"]): r["quality"] for r in stored.filter(own).to_pylist()
    }
    keys = [_key(row, prompts[row["prompt_id"]], thinks[row["teacher"]]) for row in rows]
    missing = {
        key: (prompts[row["prompt_id"]], visible_text(row["response"], thinks[row["teacher"]]))
        for key, row in zip(keys, rows, strict=True)
        if key not in known
    }
    progress.came_from_store(sum(key not in missing for key in keys), UNIT)
    evaluated = _evaluate(missing, settings, reward_model) if missing else iter(())
    while chunk := list(islice(evaluated, _CHUNK)):
        known.update(chunk)
        store.append(
            shelf,
            [
                {"response_key": k, "reference_id": r, "quality": q}
                for (k, r), q in chunk
                if q is not None or reward_model  # one that failed may be fixed by now
            ],
        )
    unknown = sum(known[key] is None for key in keys)
    if reward_model and unknown:
        _logger.warning(
            "%d of %d responses got no finite score from reward model %s; their quality is unknown",
            unknown,
            len(keys),
            reward_model.name,
        )
    table = [
        {
            **{n: row[n] for n in ("prompt_id", "teacher", "response_key", "sample_index")},
            "quality": known[key],
        }
        for key, row in zip(keys, rows, strict=True)
    ]
    return pa.Table.from_pylist(table, schemas.QUALITY)


def stored_quality(
    settings: QualitySettings, reward_model: ResolvedModel | None, store: QualityStore
) -> pa.Table:
    """Return all that the store has from this way of judging (``schemas.STORED_QUALITY``)."""
    return store.read(settings_id(_scorer(settings, reward_model)))


def check_can_be_labelled(prompts: list[dict[str, Any]], settings: LabelSettings) -> None:
    """Raise a PersynError if these calibration prompts cannot give a reward.

    Called before any API call.
    """
    parts = {prompt["part"] for prompt in prompts}
    for part, fraction in (("fit", "calibration"), ("holdout", "holdout")):
        if part not in parts:
            raise PersynError(
                f"No calibration prompt falls into the router's {part} part. Add prompts or raise "
                f"prepare.{fraction}_fraction."
            )
    check_can_be_judged(prompts, settings)


def check_can_be_judged(prompts: list[dict[str, Any]], settings: LabelSettings) -> None:
    """Raise a PersynError if answers are to be checked, but no prompt has a reference."""
    exact = settings.quality.kind == "exact_answer" and settings.alpha < 1
    if exact and all(prompt["reference"] is None for prompt in prompts):
        raise PersynError(
            "No calibration prompt has a reference to check answers against. Add a `reference` to "
            "the prompts, set label.quality to {kind: reward_model, model: …}, or set "
            "label.alpha to 1 (learnability only)."
        )


def _scorer(settings: QualitySettings, reward_model: ResolvedModel | None) -> dict[str, str]:
    if reward_model:
        identity = {
            "kind": "reward_model",
            "weights_id": reward_model.weights_id,
            "dtype": reward_model.settings.dtype,
            "chat_template": text_id(reward_model.chat_template),
        }
        raised = {"version": str(reward_models.VERSION)} if reward_models.VERSION > 1 else {}
        return {**identity, **raised}
    if is_own(settings.kind):
        return {"kind": "own", **code_identity(settings.kind)}
    return exact_scorer()


def exact_scorer() -> dict[str, str]:
    """Return what decides whether an answer is right, for the store's shelf and for records."""
    return {
        "kind": "exact_answer",
        "version": str(VERSION),
        "math_verify": version("math-verify"),
        "reasoning_gym": version("reasoning-gym"),
    }


def _key(row: dict[str, Any], prompt: dict[str, Any], think: Think) -> Key:
    """Identify a response as read, and what it is checked against: a changed one is new."""
    checked = {
        "reference": prompt["reference"],
        "metadata": prompt["metadata"],
        "think": reading(row["response"], think),
    }
    return row["response_key"], settings_id(checked)


def _evaluate(
    missing: dict[Key, tuple[dict[str, Any], str]],
    settings: QualitySettings,
    reward_model: ResolvedModel | None,
) -> Iterator[tuple[Key, float | None]]:
    label = f"reward model {reward_model.name}" if reward_model else "checking answers"
    with progress.watching(label, len(missing), UNIT) as watch:
        if reward_model is None:
            yield from watch.each(_checked(missing, settings.kind))
            return
        requests = [(key, prompt_of(row), response) for key, (row, response) in missing.items()]
        size = settings.batch_size
        scores = spread(
            reward_scorer,
            reward_model,
            size,
            items=requests,
            block=size * max(1, _BLOCK // size),
            label=label,
        )
        with closing(scores):
            yield from watch.each(flat(scores), failed=lambda scored: scored[1] is None)


def _checked(
    missing: dict[Key, tuple[dict[str, Any], str]], kind: str
) -> Iterator[tuple[Key, float | None]]:
    if is_own(kind):
        rows = (
            (key, prompt_of(prompt), response, accepted(prompt))
            for key, (prompt, response) in missing.items()
        )
        yield from function_scores(rows, kind)
        return
    for key, (prompt, response) in missing.items():
        yield key, _exact(response, prompt)


def _exact(response: str, prompt: dict[str, Any]) -> float | None:
    """Return 1 if one of the alternatives is right; unknown if none is and one is unknown."""
    several = accepted(prompt)
    if len(several) < 2:
        return exact_answer_quality(
            response, prompt["reference"], prompt["source"], prompt["metadata"]
        )
    found: float | None = 0.0
    for reference in several:
        quality = exact_answer_quality(response, reference, prompt["source"], None)
        if quality == 1.0:
            return quality
        found = None if quality is None else found
    return found
