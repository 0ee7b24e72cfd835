"""Send each teacher its own prompts, and verify the answers if the settings ask for it."""

from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.teachers.result import sum_calls
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.tables import schemas

VERSION = 1  # raise it when the same inputs give another result

Wanted = dict[str, ChosenPrompts]  # by teacher
# wanted -> (outcomes, calls), tables of schemas.OUTCOMES and CALLS
Ask = Callable[[Wanted], tuple[pa.Table, pa.Table]]
# responses or outcomes -> table of schemas.QUALITY
Check = Callable[[pa.Table], pa.Table]
# rows of schemas.OUTCOMES -> the same rows as schemas.RESPONSES, with texts
Texts = Callable[[pa.Table], Iterator[pa.RecordBatch]]
# outcomes, their quality by the references, and by the judge
Answered = tuple[pa.Table, pa.Table, pa.Table]
Rounds = Generator[Wanted, Answered, pa.Table]


def routed_generation(
    prompts: ChosenPrompts,
    choices: np.ndarray,
    teachers: list[str],
    settings: GenerateSettings,
    allow_truncated: bool,
    ask: Ask,
    check: Check,
    texts: Texts,
    judge: Check | None = None,
    best: np.ndarray | None = None,
) -> tuple[pa.RecordBatchReader, pa.Table]:
    """Return ``schemas.ROUTED_RESPONSES``, streamed, and the ``schemas.CALLS`` of this run.

    For the rules, see ``routed_rounds``. Everything is generated before the first row is read; only
    OUTCOMES are held in memory.

    Args:
        choices: as for ``routed_rounds``.
        check: takes OUTCOMES.
        judge: likewise, how good responses are; None: as ``check`` says.
        best: as for ``routed_rounds``.
    """
    counted: list[pa.Table] = []
    again = 0
    rounds = routed_rounds(prompts, choices, teachers, settings, allow_truncated, best)
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
        quality = check(outcomes)
        judged = judge(outcomes) if judge and settings.judged else quality
        again += unsettled_among(outcomes, quality, judged)
        answered = outcomes, quality, judged


def unsettled_among(answers: pa.Table, quality: pa.Table, judged: pa.Table) -> int:
    """Return how many answers, and verdicts on them, another run would ask for again."""
    tables = [answers, quality, *([] if judged is quality else [judged])]
    return sum(schemas.unsettled_rows(table.schema) for table in tables)


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
    best: np.ndarray | None = None,
) -> Rounds:
    """Yield, round by round, what to ask each teacher; return the rows to keep.

    The caller sends each round's responses, with or without texts, their quality by the references
    and that by the judge, which is used if ``settings.judged``.

    A prompt's tries are the answers of its first choice, then those of its next choices (up to
    ``max_calls`` teachers, if ``verification`` is ``next_choice`` or ``resample``, or
    ``on_failure`` is ``next_choice``; else only the first). With ``keep: first`` the answers of one
    teacher are asked for one by one, up to ``samples``, until one is not rejected, otherwise all of
    them together, of which those that are not rejected are kept, or the best of them. A prompt goes
    on to its next choice if all are rejected. With ``resample`` each teacher is asked at least
    twice, and a prompt takes at most ``max_calls`` calls.

    Wrong answers are rejected unless ``verification`` is ``keep``; unusable ones too with
    ``next_choice`` and ``resample``, or if there are several. Failed ones are if ``on_failure`` is
    ``next_choice``. Of a prompt whose answers are all rejected none is kept. Answers of unknown
    quality are not rejected.

    Args:
        choices: (n, R) int, for each prompt the indices in ``teachers`` of those to ask, in order;
            -1 after the last.
        best: (n, K) int, the sample of each prompt and teacher that comes before its others, such
            as the best of those from labelling; None: the first, 0.

    Returns:
        ``rank``, ``quality`` and the responses' columns.
    """
    places, kept = np.arange(len(prompts)), []
    for rank, draws in _tries(settings, choices.shape[1]):
        places = places[choices[places, rank] >= 0]
        if not len(places):
            break
        wanted: Wanted = {}
        for k, teacher in enumerate(teachers):
            own = places[choices[places, rank] == k]
            if len(own):
                first = np.zeros(len(own), np.int16) if best is None else best[own, k]
                wanted[teacher] = prompts.at(own).sampled(_in_order(draws, first))
        responses, quality, judged = yield wanted
        rows = _with_quality(responses, quality, rank)
        rejected = _rejected(rows, settings, allow_truncated)
        good = rows.filter(pc.invert(rejected)) if pc.any(rejected).as_py() else rows
        kept.append(_best_of(good, judged, allow_truncated) if settings.judged else good)
        done = pc.is_in(prompts.at(places).ids, value_set=good["prompt_id"])
        places = places[~done.to_numpy(False)]
    return pa.concat_tables(kept) if kept else schemas.ROUTED_RESPONSES.empty_table()


def _tries(settings: GenerateSettings, most: int) -> list[tuple[int, np.ndarray]]:
    """Return in turn whom to ask, by rank, and for which of their answers together.

    Args:
        most: the number of teachers that there are.
    """
    numbers = np.arange(settings.draws)
    draws = np.split(numbers, len(numbers)) if settings.keep == "first" else [numbers]
    several = {settings.verification, settings.on_failure} & {"next_choice", "resample"}
    ranks = range(min(settings.max_calls if several else 1, most))
    tries = [(rank, own) for rank in ranks for own in draws]
    return tries[: settings.max_calls] if settings.verification == "resample" else tries


def _in_order(draws: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return (n, d) int16, the samples that the (d,) ``draws`` are of each prompt.

    Args:
        first: (n,) the sample that is draw 0; the others follow in their own order.
    """
    first = first[:, None]
    rest = draws - (draws <= first)
    return np.where(draws == 0, first, rest).astype(np.int16)


def _ended(rows: pa.Table, allow_truncated: bool) -> pa.ChunkedArray:
    """Return for each row, as bool, whether its answer ended in a way that may be trained on."""
    fine = pa.array(["stop", "length"] if allow_truncated else ["stop"])
    return pc.is_in(rows["finish_reason"], value_set=fine)


def _best_of(rows: pa.Table, judged: pa.Table, allow_truncated: bool) -> pa.Table:
    """Return each prompt's row of the highest quality by the judge, in the rows' order.

    Answers that may not be trained on come last, and unknown quality is the lowest; of equal ones
    the first counts.
    """
    places = pc.index_in(rows["response_key"], value_set=judged["response_key"])
    quality = pc.fill_null(judged["quality"].combine_chunks().take(places), -np.inf)
    prompts = rows["prompt_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    ended = _ended(rows, allow_truncated).to_numpy()
    order = np.lexsort((np.arange(len(rows)), -quality.to_numpy(), ~ended, prompts))
    _, first = np.unique(prompts[order], return_index=True)
    return rows.take(np.sort(order[first]))


def _rejected(rows: pa.Table, settings: GenerateSettings, allow_truncated: bool) -> pa.Array:
    """Return for each row, as bool, whether its answer is excluded or its prompt goes on."""
    failed = pc.equal(rows["finish_reason"], "error")
    if settings.verification == "keep":
        return failed if settings.on_failure == "next_choice" else pc.less(rows["rank"], 0)
    wrong = pc.fill_null(pc.less(rows["quality"], 1.0), False)  # some test of its code failed
    if settings.verification != "drop" or settings.samples > 1:
        wrong = pc.or_(wrong, pc.invert(_ended(rows, allow_truncated)))
    return pc.or_(wrong, failed) if settings.on_failure == "next_choice" else wrong


def _with_quality(responses: pa.Table, quality: pa.Table, rank: int) -> pa.Table:
    places = pc.index_in(responses["response_key"], value_set=quality["response_key"])
    known = quality["quality"].combine_chunks().take(places)
    ranks = pa.array(np.full(len(responses), rank, np.int32))
    return responses.add_column(0, "rank", ranks).add_column(1, "quality", known)
