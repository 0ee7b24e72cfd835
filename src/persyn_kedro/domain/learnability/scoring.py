"""Token statistics of many responses: from the store if known, else from the student."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing

import pyarrow as pa

from persyn_kedro.domain.learnability.local import local_scorer, local_scorer_id
from persyn_kedro.domain.learnability.statistics import Request, Row, scorer_id, student_scorer
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
    pairs = list(zip(places, rows, strict=True))
    scored = _statistics(pairs, prompts, student, system, store, settings, local=False)
    table = [{**scored[place], **_names(r)} for place, r in pairs]
    if settings.local:
        again = _statistics(pairs, prompts, student, system, store, settings, local=True)
        table = [
            {**row, "local_logp": again[p]["local_logp"]}
            for row, (p, _) in zip(table, pairs, strict=True)
        ]
    return pa.Table.from_pylist(table, schemas.TOKEN_STATISTICS)


def _statistics(
    pairs: list[tuple[Place, Row]],
    prompts: Mapping[str, Prompt],
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    settings: LabelSettings,
    local: bool,
) -> dict[Place, Row]:
    """Return the responses' statistics, or the local ones; what the store lacks is computed."""
    shelves = _shelves(student, system, store, {think for (_, think), _ in pairs}, local)
    known = {
        (r["response_key"], think): r
        for think, shelf in shelves.items()
        for r in store.read(shelf).to_pylist()
    }
    lacking = [pair for pair in pairs if pair[0] not in known]
    lacking.sort(key=lambda pair: pair[1]["prompt_id"])  # a prompt's responses are scored together
    missing = {
        place: (
            r["response_key"],
            prompts[r["prompt_id"]],
            visible_text(r["response"], place[1]),
        )
        for place, r in lacking
    }
    progress.came_from_store(len(pairs) - len(lacking), UNIT)
    if missing:
        for place, scored in _score(missing, shelves, student, system, store, settings, local):
            known[place] = scored
    _report(student.name, [known[place] for place, _ in pairs], local)
    return known


def _shelves(
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    thinks: set[Think],
    local: bool,
) -> dict[Think, str]:
    shelves: dict[Think, str] = {}
    for think in sorted(thinks):
        shelves[think] = (local_scorer_id if local else scorer_id)(student, system, think)
        identity = {
            "weights_id": student.weights_id,
            "dtype": student.settings.dtype,
            "system": system,
            "think": think,
        }
        identity |= {"kind": "local"} if local else {}
        store.describe(shelves[think], identity)
    return shelves


def _score(
    missing: Mapping[Place, Request],
    shelves: Mapping[Think, str],
    student: ResolvedModel,
    system: str | None,
    store: StatisticsStore,
    settings: LabelSettings,
    local: bool,
) -> Iterator[tuple[Place, Row]]:
    """Yield what the store lacked; each block is stored as soon as it is finished."""
    label, places = f"scoring {'sentences ' if local else ''}with {student.name}", list(missing)
    blocks = spread(
        local_scorer if local else student_scorer,
        student,
        system,
        student.settings.dtype,
        settings.scoring_pack_tokens,
        settings.vocabulary_chunk,
        items=list(missing.values()),
        block=BLOCK,
        label=label,
        in_order=False,
        stays=True,
        size=student.size,
    )
    with progress.watching(label, len(missing), UNIT) as watch, closing(blocks):
        for start, rows in blocks:
            pairs = list(zip(places[start : start + BLOCK], rows, strict=True))
            for think, shelf in shelves.items():
                store.append(shelf, [row for (_, used), row in pairs if used == think])
            for _ in watch.each(rows, _tokens, _is_unscored):
                pass
            yield from pairs


def _tokens(row: Row) -> int:
    return 0 if _is_unscored(row) else row["tokens"]


def _is_unscored(row: Row) -> bool:
    """Return whether a response was too long for the student's context."""
    return bool(row["tokens"]) and row.get("sum_logp") is None and row.get("local_logp") is None


def _report(student: str, rows: list[Row], local: bool) -> None:
    """Log how many responses do not fit the student's context: they have no learnability."""
    unscored = sum(map(_is_unscored, rows))
    if unscored:
        _logger.warning(
            "%d of %d responses are too long for the context of %s and were not scored%s",
            unscored,
            len(rows),
            student,
            " sentence by sentence" if local else "",
        )


def _names(row: Row) -> Row:
    return {name: row[name] for name in ("prompt_id", "teacher", "sample_index")}
