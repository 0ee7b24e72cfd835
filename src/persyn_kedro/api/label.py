"""Every teacher answers; the answers become rewards (METHOD.md, section 1)."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.pool import Pool
from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.api.templates import check_conversations
from persyn_kedro.api.ways import check_ways
from persyn_kedro.domain.adaptive import Scoring, answer_by_design
from persyn_kedro.domain.designs import check_design
from persyn_kedro.domain.prompts import find_rows, find_texts
from persyn_kedro.domain.quality import check_can_be_judged, check_sandbox
from persyn_kedro.domain.teachers import answer
from persyn_kedro.foundations.settings import read_group


@dataclass(frozen=True)
class Labels:
    """The result of labelling, as Arrow tables of ``foundations.tables``.

    Attributes:
        prompts: the prompts, with their ``prompt_id``.
        responses: of every teacher to each prompt, ``samples`` of each.
        statistics: the student's token statistics of each response; sums in nats.
        quality: of each response; null where unknown.
        rewards: quality, learnability and the reward, one row for each prompt and teacher.
        calls: the calls made now, their tokens and cost, for each teacher.
    """

    prompts: pa.Table
    responses: pa.Table
    statistics: pa.Table
    quality: pa.Table
    rewards: pa.Table
    calls: pa.Table


def label(prompts: Any, pool: Pool, *, backbone: str | None = None, **settings: Any) -> Labels:
    """Have every teacher answer every prompt, or as ``design`` says, and score the answers.

    Nothing that the stores already have is paid for or computed again.

    Args:
        prompts: as for :func:`prompt_table`.
        pool: teachers and student.
        backbone: an adaptive design finds similar prompts by this model's embeddings (default: the
            student's model).
        settings: of ``label``, such as ``alpha=0.4`` or ``quality={"kind": "exact_answer"}``.

    Raises:
        PersynError: a bad setting, or these prompts cannot give a reward.
    """
    chosen = read_group("label", settings)
    check_design(pool.teachers, chosen)
    check_ways(chosen, pool)
    table = prompt_table(prompts)
    rows = find_rows(pads.dataset(table), table["prompt_id"])
    router = read_group("train_router", {"kind": "knn", "backbone": backbone or pool.student.model})
    check_conversations(
        table,
        pool,
        student=pool.student,
        label=chosen,
        teachers=pool.teachers,
        train_router=router if chosen.design.adaptive else None,
    )
    check_can_be_judged(list(rows.values()), chosen)
    check_sandbox(chosen.quality)
    scoring = Scoring(
        rows,
        pool.models,
        pool.teachers,
        pool.student,
        chosen,
        pool.statistics,
        pool.quality,
        pool.calls,
    )
    responses, calls = answer_by_design(
        find_texts(pads.dataset(table), table["prompt_id"]),
        pool.recipes,
        scoring,
        router,
        len(table),
        pool.seed,
        lambda wanted: answer(wanted, pool.recipes, pool.responses, pool.engine, pool.seed),
    )
    return Labels(table, responses, *scoring.tables(responses), calls)
