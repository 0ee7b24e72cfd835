"""Each teacher answers only the prompts routed to it (METHOD.md, section 4)."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.label import Labels
from persyn_kedro.api.pool import Pool
from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.api.templates import check_conversations
from persyn_kedro.api.ways import check_ways
from persyn_kedro.domain.prompts import find_texts, places_of
from persyn_kedro.domain.quality import verifier_of
from persyn_kedro.domain.rewards import best_samples
from persyn_kedro.domain.routers import check_assignments, ranked_places
from persyn_kedro.domain.teachers import make_sure, pool_identity, with_texts
from persyn_kedro.domain.training_set import label_judge, quality_checker, routed_generation
from persyn_kedro.foundations.settings import check_samples, read_group


def generate(
    prompts: Any,
    assignments: pa.Table,
    pool: Pool,
    *,
    labels: Labels | None = None,
    quality: Any = None,
    allow_truncated: bool = False,
    **settings: Any,
) -> tuple[pa.Table, pa.Table]:
    """Return the routed responses (``schemas.ROUTED_RESPONSES``) and the calls (``schemas.CALLS``).

    Answers that the store already has are not paid for again.

    Args:
        prompts: as for :func:`prompt_table`.
        assignments: what :func:`route` returned for these prompts.
        pool: the pool that the prompts were routed for.
        labels: what :func:`label` returned for some of these prompts: of several answers of a
            teacher to them the best is taken first.
        quality: how the best of several answers is found (``keep="best"``), as ``quality`` of
            :func:`label`; by default, by the prompts' references. If it runs code, so does
            ``verification``.
        allow_truncated: whether the student may be trained on truncated answers.
        settings: of ``generate``, such as ``verification="next_choice"`` or ``samples=4``.

    Raises:
        PersynError: a bad setting, or assignments of another pool.
    """
    chosen = read_group("generate", settings)
    judging = read_group("label", {"quality": quality or {}})
    check_samples(pool.teachers, chosen, judging)
    check_ways(judging, pool)
    check_assignments(assignments.schema, pool_identity(pool.recipes))
    table = prompt_table(prompts)
    check_conversations(
        table, pool, teachers=pool.teachers, label=judging if chosen.judged else None
    )
    ids, asked = table["prompt_id"], pads.dataset(table)
    scored, choices = ranked_places(pads.dataset(assignments), chosen.max_calls)

    def ask(asked: Any) -> tuple[pa.Table, pa.Table]:
        return make_sure(asked, pool.recipes, pool.responses, pool.engine, pool.seed, go_on=True)

    def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
        return with_texts(outcomes, pool.recipes, pool.responses)

    checked = (asked, pool.thinks, pool.quality, texts)
    names, best = list(pool.teachers.root), None
    if labels is not None:
        best = best_samples(pads.dataset(labels.rewards), ids, names)
    responses, calls = routed_generation(
        find_texts(asked, ids),
        choices[places_of(ids, scored)],
        names,
        chosen,
        allow_truncated,
        ask,
        quality_checker(*checked, verifier_of(judging.quality)),
        texts,
        label_judge(*checked, judging.quality, pool.models, pool.calls) if chosen.judged else None,
        best,
    )
    return responses.read_all(), calls
