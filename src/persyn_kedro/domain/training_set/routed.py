"""Send each teacher its own prompts, and verify the answers if the settings ask for it."""

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.steps import GenerateSettings
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

Wanted = dict[str, Sequence[tuple[str, Prompt]]]  # {teacher: [(prompt_id, prompt)]}
# wanted -> (outcomes, calls), tables of schemas.OUTCOMES and CALLS
Ask = Callable[[Wanted], tuple[pa.Table, pa.Table]]
# responses or outcomes -> table of schemas.QUALITY
Check = Callable[[pa.Table], pa.Table]
# rows of schemas.OUTCOMES -> the same rows as schemas.RESPONSES, with texts
Texts = Callable[[pa.Table], Iterator[pa.RecordBatch]]
Rounds = Generator[Wanted, tuple[pa.Table, pa.Table], pa.Table]


def routed_generation(
    prompts: ChosenPrompts,
    choices: np.ndarray,
    teachers: list[str],
    settings: GenerateSettings,
    allow_truncated: bool,
    ask: Ask,
    check: Check,
    texts: Texts,
) -> tuple[pa.RecordBatchReader, pa.Table]:
    """Return ``schemas.ROUTED_RESPONSES``, streamed, and the ``schemas.CALLS`` of this run.

    For the rules, see ``routed_rounds``. Everything is generated before the first row is read; only
    OUTCOMES are held in memory.

    Args:
        choices: as for ``routed_rounds``.
        check: takes OUTCOMES.
    """
    counted: list[pa.Table] = []
    again = 0
    rounds = routed_rounds(prompts, choices, teachers, settings, allow_truncated)
    answered = None
    while True:
        try:
            wanted = next(rounds) if answered is None else rounds.send(answered)
        except StopIteration as end:
            schema = schemas.with_unsettled(schemas.ROUTED_RESPONSES.empty_table(), again).schema
            rows = _with_texts(end.value, texts)
            return pa.RecordBatchReader.from_batches(schema, rows), sum_calls(counted, teachers)
        outcomes, calls = ask(wanted)
        counted.append(calls)
        again += schemas.unsettled_rows(outcomes.schema)
        answered = outcomes, check(outcomes)


def _with_texts(kept: pa.Table, texts: Texts) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in texts(kept.select(schemas.OUTCOMES.names)) if len(kept) else ():
        own = kept.slice(start, len(batch)).combine_chunks()
        start += len(batch)
        columns = [*(own[n].combine_chunks() for n in ("rank", "quality")), *batch.columns]
        yield pa.RecordBatch.from_arrays(columns, schema=schemas.ROUTED_RESPONSES)


def routed_rounds(
    prompts: ChosenPrompts,
    choices: np.ndarray,
    teachers: Sequence[str],
    settings: GenerateSettings,
    allow_truncated: bool,
) -> Rounds:
    """Yield, round by round, what to ask each teacher; return the rows to keep.

    The caller sends each round's responses, with or without texts, one row per prompt, and their
    quality. If ``verification`` is ``next_choice``, a prompt whose answer is wrong or unusable goes
    to its next choices, up to ``max_calls`` calls in total; the last answer is excluded if it is
    wrong too. With ``drop``, wrong answers are excluded. Answers of unknown quality are kept. If
    ``on_failure`` is ``next_choice``, a prompt that its teacher failed to answer also goes to its
    next choice.

    Args:
        choices: (n, R) int, for each prompt the indices in ``teachers`` of those to ask, in order;
            -1 after the last.

    Returns:
        ``rank``, ``quality`` and the responses' columns.
    """
    several = "next_choice" in (settings.verification, settings.on_failure)
    places, kept = np.arange(len(prompts)), []
    for rank in range(min(settings.max_calls if several else 1, choices.shape[1])):
        places = places[choices[places, rank] >= 0]
        if not len(places):
            break
        asked = {t: places[choices[places, rank] == k] for k, t in enumerate(teachers)}
        responses, quality = yield {t: prompts.at(own) for t, own in asked.items() if len(own)}
        rows = _with_quality(responses, quality, rank)
        rejected = _rejected(rows, settings, allow_truncated)
        kept.append(rows.filter(pc.invert(rejected)) if pc.any(rejected).as_py() else rows)
        again = rows["prompt_id"].filter(rejected)
        places = places[pc.is_in(prompts.at(places).ids, value_set=again).to_numpy(False)]
    return pa.concat_tables(kept) if kept else schemas.ROUTED_RESPONSES.empty_table()


def _rejected(rows: pa.Table, settings: GenerateSettings, allow_truncated: bool) -> pa.Array:
    """Return for each row, as bool, whether its answer is excluded or its prompt goes on."""
    failed = pc.equal(rows["finish_reason"], "error")
    if settings.verification == "keep":
        return failed if settings.on_failure == "next_choice" else pc.less(rows["rank"], 0)
    wrong = pc.fill_null(pc.equal(rows["quality"], 0.0), False)
    if settings.verification == "next_choice":
        fine = pa.array(["stop", "length"] if allow_truncated else ["stop"])
        wrong = pc.or_(wrong, pc.invert(pc.is_in(rows["finish_reason"], value_set=fine)))
    return pc.or_(wrong, failed) if settings.on_failure == "next_choice" else wrong


def _with_quality(responses: pa.Table, quality: pa.Table, rank: int) -> pa.Table:
    places = pc.index_in(responses["response_key"], value_set=quality["response_key"])
    known = quality["quality"].combine_chunks().take(places)
    ranks = pa.array(np.full(len(responses), rank, np.int32))
    return responses.add_column(0, "rank", ranks).add_column(1, "quality", known)


def sum_calls(tables: list[pa.Table], teachers: list[str]) -> pa.Table:
    """Return ``schemas.CALLS`` summed by teacher, in the pool's order."""
    if not tables:
        return pa.Table.from_pylist([], schemas.CALLS)
    merged = pa.concat_tables(tables)
    names = [name for name in schemas.CALLS.names if name != "teacher"]
    sums = merged.group_by("teacher").aggregate([(name, "sum") for name in names])
    by_teacher = {row["teacher"]: row for row in sums.to_pylist()}
    rows = [
        {"teacher": t, **{n: by_teacher[t][f"{n}_sum"] for n in names}}
        for t in teachers
        if t in by_teacher
    ]
    return pa.Table.from_pylist(rows, schemas.CALLS)
