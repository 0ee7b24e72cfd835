"""Ask each teacher its own prompts, and verify the answers where the settings say so."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.routers.assignment import ranked_teachers
from persyn_kedro.domain.training_set.merge import is_trainable
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.step_parameters import GenerateSettings

Wanted = dict[str, list[tuple[str, str]]]  # {teacher: [(prompt_id, prompt)]}
# wanted -> (responses, calls), tables of schemas.RESPONSES and CALLS
Ask = Callable[[Wanted], tuple[pa.Table, pa.Table]]
# responses -> table of schemas.QUALITY
Check = Callable[[pa.Table], pa.Table]
Rounds = Generator[Wanted, tuple[pa.Table, pa.Table], list[dict[str, Any]]]


def routed_generation(
    prompts: dict[str, str],
    scores: dict[str, list[float]],
    teachers: list[str],
    settings: GenerateSettings,
    allow_truncated: bool,
    ask: Ask,
    check: Check,
) -> tuple[pa.Table, pa.Table]:
    """Return ``schemas.ROUTED_RESPONSES`` and the ``schemas.CALLS`` of this run.

    The rules are those of :func:`routed_rounds`.

    Args:
        prompts: text by prompt_id.
        scores: the router's scores by prompt_id, in the order of ``teachers``.
    """
    choices = {p: ranked_teachers(scores[p], teachers) for p in prompts}
    counted: list[pa.Table] = []
    again = 0
    rounds = routed_rounds(prompts, choices, teachers, settings, allow_truncated)
    answered = None
    while True:
        try:
            wanted = next(rounds) if answered is None else rounds.send(answered)
        except StopIteration as end:
            table = pa.Table.from_pylist(end.value, schemas.ROUTED_RESPONSES)
            return schemas.with_unsettled(table, again), sum_calls(counted, teachers)
        responses, calls = ask(wanted)
        counted.append(calls)
        again += schemas.unsettled_rows(responses.schema)
        answered = responses, check(responses)


def routed_rounds(
    prompts: dict[str, str],
    choices: Mapping[str, Sequence[str]],
    teachers: Sequence[str],
    settings: GenerateSettings,
    allow_truncated: bool,
) -> Rounds:
    """Yield, round by round, what each teacher is to be asked; return the rows to keep.

    Each round is sent its responses and their quality. With ``verification`` ``next_choice`` a
    prompt whose answer is wrong, or cannot be trained on, goes to its next choices, up to
    ``max_calls`` in all, each counted; the last answer is left out if it is wrong too. With
    ``drop`` wrong answers are left out. Unknown quality is kept. With ``on_failure``
    ``next_choice`` a prompt that its teacher could not answer goes on too.

    Args:
        choices: for each prompt_id the teachers to ask, the first one first.
    """
    several = "next_choice" in (settings.verification, settings.on_failure)
    open_prompts, kept = list(prompts), []
    for rank in range(settings.max_calls if several else 1):
        open_prompts = [p for p in open_prompts if rank < len(choices[p])]
        if not open_prompts:
            break
        wanted: Wanted = {teacher: [] for teacher in teachers}
        for prompt_id in open_prompts:
            wanted[choices[prompt_id][rank]].append((prompt_id, prompts[prompt_id]))
        responses, quality = yield {t: w for t, w in wanted.items() if w}
        rows = _with_quality(responses, quality, rank)
        rejected = _rejected(rows, settings, allow_truncated)
        kept += [row for row in rows if row["prompt_id"] not in rejected]
        open_prompts = [prompt_id for prompt_id in open_prompts if prompt_id in rejected]
    return kept


def _rejected(
    rows: list[dict[str, Any]], settings: GenerateSettings, allow_truncated: bool
) -> set[str]:
    failed = {r["prompt_id"] for r in rows if r["finish_reason"] == "error"}
    if settings.verification == "keep":
        return failed if settings.on_failure == "next_choice" else set()
    wrong = {r["prompt_id"] for r in rows if r["quality"] == 0.0}
    if settings.verification == "next_choice":
        wrong |= {r["prompt_id"] for r in rows if not is_trainable(r, allow_truncated)}
    return wrong | failed if settings.on_failure == "next_choice" else wrong


def _with_quality(responses: pa.Table, quality: pa.Table, rank: int) -> list[dict[str, Any]]:
    known = {row["response_key"]: row["quality"] for row in quality.to_pylist()}
    return [
        {**row, "rank": rank, "quality": known.get(row["response_key"])}
        for row in responses.to_pylist()
    ]


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
