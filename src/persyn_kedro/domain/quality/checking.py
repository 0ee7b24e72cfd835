"""Quality of many responses, and whether prompts can be judged at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.quality.judge.note import with_notes_of
from persyn_kedro.domain.quality.judge.rubric import load_rubric
from persyn_kedro.domain.quality.scorer import Answer, Scorer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.models.rendering import reading, visible_text
from persyn_kedro.foundations.settings.label import VERDICTS, LabelSettings, Ways, ways_of
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.code_tests import tests_of


def check_quality(
    responses: pa.Table,
    prompts: dict[str, dict[str, Any]],
    thinks: dict[str, Think],
    scorer: Scorer,
    store: QualityStore,
    stored: Any = None,
) -> pa.Table:
    """Return the quality of each response that is not an error; null if unknown.

    Args:
        responses: rows of ``schemas.RESPONSES``.
        prompts: rows of ``schemas.SOURCE_PROMPTS`` by prompt_id.
        thinks: each teacher's ``think`` setting.
        stored: what ``scorer.stored`` returned, for a caller that checks many tables.

    Returns:
        A table of ``schemas.QUALITY``.
    """
    pairs = answers_of(responses, prompts, thinks)
    answers = [answer for answer, _ in pairs]
    found = scorer.qualities(answers, store, stored)
    table = [
        {
            **{n: row[n] for n in ("prompt_id", "teacher", "response_key", "sample_index")},
            "quality": found[answer.key],
        }
        for answer, row in pairs
    ]
    return scorer.noted(pa.Table.from_pylist(table, schemas.QUALITY), answers)


def answers_of(
    responses: pa.Table, prompts: Mapping[str, dict[str, Any]], thinks: Mapping[str, Think]
) -> list[tuple[Answer, dict[str, Any]]]:
    """Return each response that is not an error as an answer, and its row (``check_quality``)."""
    return [
        (_answer(row, prompts[row["prompt_id"]], thinks[row["teacher"]]), row)
        for row in responses.to_pylist()
        if row["finish_reason"] != "error"
    ]


def check_terms(
    responses: pa.Table,
    prompts: dict[str, dict[str, Any]],
    thinks: dict[str, Think],
    scorers: Mapping[str, Scorer],
    store: QualityStore,
) -> pa.Table:
    """Return the quality of the responses by each term (``schemas.QUALITY_TERMS``).

    Args:
        scorers: by term; for the others see ``check_quality``.
    """
    found = [schemas.QUALITY_TERMS.empty_table()]
    for term, scorer in scorers.items():
        table = check_quality(responses, prompts, thinks, scorer, store)
        names = pa.array([term] * len(table), pa.string())
        found.append(table.append_column("term", names).select(schemas.QUALITY_TERMS.names))
    return with_notes_of(pa.concat_tables(found), found)


def _answer(row: dict[str, Any], prompt: dict[str, Any], think: Think) -> Answer:
    """Identify a response as read, and what it is checked against: a changed one is new."""
    checked = {
        "reference": prompt["reference"],
        "metadata": prompt["metadata"],
        "think": reading(row["response"], think),
    }
    key = (row["response_key"], settings_id(checked))
    return Answer(key, prompt, visible_text(row["response"], think))


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
    """Raise a PersynError if answers are to be checked, but no prompt has what it takes.

    Of several terms one that can judge is enough.
    """
    check_rubric(prompts, settings.quality)
    kinds = {way.kind for way in settings.ways} if settings.alpha < 1 else set()
    if not kinds or kinds - {*VERDICTS}:
        return
    if "code" in kinds and any(map(tests_of, prompts)):
        return
    if "exact_answer" in kinds and any(p["reference"] is not None for p in prompts):
        return
    if "code" in kinds:
        raise PersynError(
            "No calibration prompt has tests to run answers' code against. Add `tests` to the "
            "prompts, or set prepare.source.tests_column to the column that holds them."
        )
    raise PersynError(
        "No calibration prompt has a reference to check answers against. Add a `reference` to "
        "the prompts, set label.quality to {kind: reward_model, model: …}, or set "
        "label.alpha to 1 (learnability only)."
    )


def check_rubric(prompts: Sequence[Mapping[str, Any]], quality: Ways) -> None:
    """Refuse a judge's rubric that is none, or that needs references of prompts without any.

    Raises:
        PersynError: names the rubric.
    """
    for way in ways_of(quality):
        if way.kind != "judge" or not load_rubric(str(way.rubric)).reference:
            continue
        if all(prompt["reference"] is None for prompt in prompts):
            raise PersynError(
                f"The rubric {way.rubric} judges by references, but no prompt has one: add a "
                "`reference` to the prompts, or take another rubric."
            )


def check_judged_alone(quality: Ways, why: str) -> None:
    """Refuse judges that compare a prompt's answers where they do not come together.

    Args:
        why: the part of the sentence that says where.

    Raises:
        PersynError: names the mode.
    """
    others = [way for way in ways_of(quality) if way.kind not in VERDICTS]
    if others and all(way.compares for way in others):
        raise PersynError(
            f"label.quality: mode {others[0].mode} compares a prompt's answers with each other, "
            f"but {why}: set it to score."
        )
