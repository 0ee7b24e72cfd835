"""Token statistics of many responses: from the store if known, else from the student."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.learnability.statistics import Request, scorer_id, student_scorer
from persyn_kedro.domain.stores.tables import StatisticsStore
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.rendering import reading, visible_text
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.map_blocks import spread
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas

BLOCK = 64  # responses scored and stored together
UNIT = "responses scored"
_logger = logging.getLogger(__name__)

Place = tuple[str, Think]  # response_key and reading


def score_responses(
    responses: pa.Table,
    prompts: Mapping[str, Prompt],
    thinks: Mapping[str, Think],
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    settings: LabelSettings,
) -> pa.Table:
    """Return one row of ``schemas.TOKEN_STATISTICS`` for each response that is not an error.

    The student is loaded, in a child process, only if the store lacks a response.

    Args:
        responses: rows of ``schemas.RESPONSES``.
        prompts: by prompt_id.
        thinks: each teacher's ``think`` setting.
    """
    rows = [r for r in responses.to_pylist() if r["finish_reason"] != "error"]
    for row in rows:
        if row["teacher"] not in thinks:
            raise PersynError(
                f"The responses contain teacher {row['teacher']!r}, which is not in the settings. "
                "Run `kedro run --pipelines=label,train_router,route,generate`."
            )
    places = [(r["response_key"], reading(r["response"], thinks[r["teacher"]])) for r in rows]
    shelves = _shelves(student, system, store, {think for _, think in places})
    known = {
        (r["response_key"], think): r
        for think, shelf in shelves.items()
        for r in store.read(shelf).to_pylist()
    }
    lacking = [pair for pair in zip(places, rows, strict=True) if pair[0] not in known]
    lacking.sort(key=lambda pair: pair[1]["prompt_id"])  # a prompt's responses are scored together
    missing = {
        place: (
            r["response_key"],
            prompts[r["prompt_id"]],
            visible_text(r["response"], place[1]),
        )
        for place, r in lacking
    }
    progress.came_from_store(len(places) - len(lacking), UNIT)
    if missing:
        for place, scored in _score(missing, shelves, student, system, store, settings):
            known[place] = scored
    _report(student.name, [known[place] for place in places])
    table = [{**known[place], **_names(r)} for place, r in zip(places, rows, strict=True)]
    return pa.Table.from_pylist(table, schemas.TOKEN_STATISTICS)


def _shelves(
    student: ResolvedModel, system: str | None, store: StatisticsStore, thinks: set[Think]
) -> dict[Think, str]:
    shelves: dict[Think, str] = {}
    for think in sorted(thinks):
        shelves[think] = scorer_id(student, system, think)
        identity = {
            "weights_id": student.weights_id,
            "dtype": student.settings.dtype,
            "system": system,
            "think": think,
        }
        store.describe(shelves[think], identity)
    return shelves


def _score(
    missing: Mapping[Place, Request],
    shelves: Mapping[Think, str],
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    settings: LabelSettings,
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield what the store lacked; each block is stored as soon as it is finished."""
    label, places = f"scoring with {student.name}", list(missing)
    blocks = spread(
        student_scorer,
        student,
        system,
        student.settings.dtype,
        settings.scoring_pack_tokens,
        settings.vocabulary_chunk,
        items=list(missing.values()),
        block=BLOCK,
        label=label,
        in_order=False,
    )
    with progress.watching(label, len(missing), UNIT) as watch, closing(blocks):
        for start, rows in blocks:
            pairs = list(zip(places[start : start + BLOCK], rows, strict=True))
            for think, shelf in shelves.items():
                store.append(shelf, [row for (_, used), row in pairs if used == think])
            for _ in watch.each(rows, _tokens, _is_unscored):
                pass
            yield from pairs


def _tokens(row: Mapping[str, Any]) -> int:
    return 0 if row["sum_logp"] is None else row["tokens"]


def _is_unscored(row: Mapping[str, Any]) -> bool:
    """Return whether a response was too long for the student's context."""
    return bool(row["tokens"]) and row["sum_logp"] is None


def _report(student: str, rows: list[dict[str, Any]]) -> None:
    """Log how many responses do not fit the student's context: they have no learnability."""
    unscored = sum(map(_is_unscored, rows))
    if unscored:
        _logger.warning(
            "%d of %d responses are too long for the context of %s and were not scored",
            unscored,
            len(rows),
            student,
        )


def _names(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("prompt_id", "teacher", "sample_index")}
