"""Every teacher answers; the answers become rewards (METHOD.md, section 1)."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.pool import Pool
from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.domain.learnability import score_responses
from persyn_kedro.domain.prompts import find_rows, find_texts
from persyn_kedro.domain.quality import check_can_be_judged, check_quality
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.teachers import answer
from persyn_kedro.foundations.models import resolve_models
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


def label(prompts: Any, pool: Pool, **settings: Any) -> Labels:
    """Have every teacher answer every prompt, and score the answers.

    Nothing that the stores already have is paid for or computed again.

    Args:
        prompts: as for :func:`prompt_table`.
        pool: teachers and student.
        settings: of ``label``, such as ``alpha=0.4`` or ``quality={"kind": "exact_answer"}``.

    Raises:
        PersynError: a bad setting, or these prompts cannot give a reward.
    """
    chosen = read_group("label", settings)
    table = prompt_table(prompts)
    rows = find_rows(pads.dataset(table), table["prompt_id"])
    check_can_be_judged(list(rows.values()), chosen)
    asked = find_texts(pads.dataset(table), table["prompt_id"])
    wanted = {name: asked.several(t.samples) for name, t in pool.teachers.root.items()}
    responses, calls = answer(wanted, pool.recipes, pool.responses, pool.engine, pool.seed)
    judge, student = chosen.quality.model, pool.student
    models = resolve_models(pool.models, [student.model, *([judge] if judge else [])])
    statistics = score_responses(
        responses,
        dict(asked),
        pool.thinks,
        models[student.model],
        student.system,
        pool.statistics,
        chosen,
    )
    quality = check_quality(
        responses,
        rows,
        pool.thinks,
        chosen.quality,
        models[judge] if judge else None,
        pool.quality,
    )
    teachers = list(pool.teachers.root)
    rewards = compute_rewards(responses, statistics, quality, teachers, chosen)
    return Labels(table, responses, statistics, quality, rewards, calls)
