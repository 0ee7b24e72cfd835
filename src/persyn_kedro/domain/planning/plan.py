"""A run's plan: calls, tokens and cost by step and teacher, and totals for the rest."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.planning import calls as planned
from persyn_kedro.domain.planning.disk import disk_needed
from persyn_kedro.domain.planning.judging import Judging, models_of
from persyn_kedro.domain.planning.known import Known, by_sample, known_teachers, models_at_hand
from persyn_kedro.domain.planning.lengths import lengths_of
from persyn_kedro.domain.planning.notes import judge_notes, plan_notes
from persyn_kedro.domain.planning.prompts import (
    Prompts,
    first_round,
    focused_prompts,
    routed_prompts,
)
from persyn_kedro.domain.planning.work import Work
from persyn_kedro.domain.prompts.left_out import focus_counts, focus_identity
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.student.test_set import student_recipe
from persyn_kedro.domain.teachers.requests import answered_prompts
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_models
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.focus import FocusSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import EvaluateSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables.schemas import PLAN


def estimate_table(
    prompts: Prompts,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    generate: GenerateSettings,
    store: ResponseStore,
    judging: Judging | None = None,
) -> pa.Table:
    """Return PLAN of the teachers' and the judge's calls, before a router has chosen.

    The models are fetched: without a model's chat template its answers in the store are not found,
    so the table would depend on what this disk's cache contains. Where ``route.focus`` leaves out
    prompts, which the student has yet to decide, the routed calls are an upper bound.
    """
    prompts = first_round(prompts)
    names = [t.model for t in teachers.root.values()]
    found = resolve_models(models, [*names, *models_of(judging)])
    pool = known_teachers(teachers, found, store, engine, prompts.sample)
    rows = planned.plan_calls(pool, prompts, None, generate.at_once, generate.draws)
    rows += judging.rows(prompts, pool, found) if judging else []
    return pa.Table.from_pylist(rows, PLAN)


def make_plan(
    prompts: Prompts,
    assignments: pads.Dataset | None,
    work: Work,
    store: ResponseStore,
    focus: pads.Dataset | None = None,
    judging: Judging | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return PLAN, and its summary: sums, comparison, the student's work, disk, notes.

    Args:
        assignments: the newest, if any; another pool's are ignored.
        focus: likewise, those for other settings.
        judging: how answers are judged, if a judge may be asked.
    """
    names = [t.model for t in work.teachers.root.values()]
    models, absent = models_at_hand(work.models, [*names, work.student.model, *models_of(judging)])
    pool = known_teachers(work.teachers, models, store, work.engine, prompts.sample)
    samples, student = work.generate.at_once, models[work.student.model]
    wanted = focus_identity(work.route.focus, work.rounds, student.weights_id)
    prompts, focused = focused_prompts(prompts, focus, wanted)
    recipes = [known.recipe for known in pool]
    routed = routed_prompts(assignments, prompts, recipes) if assignments is not None else None
    rows = planned.plan_calls(pool, prompts, routed, samples, work.generate.draws)
    judged = judging.rows(prompts, pool, models) if judging else []
    exam = [*judged, *_exam(student, prompts, work, store)]
    count = len(prompts.calibration) + len(prompts.train)
    most = planned.most_cost(rows, pool, prompts, routed, work.generate.draws)
    examples = samples if work.generate.keep == "all" else 1
    means = [k.lengths.prompt + k.lengths.completion for k in pool]
    summary = {
        "prompts": {name: len(getattr(prompts, name)) for name in ("calibration", "train", "test")},
        "teachers": len(pool),
        "routed": routed is not None,
        "now": {**planned.totals(rows), "most_cost": most},
        "generate_then_select": planned.generate_then_select(pool, prompts),
        "routed_cost_range": None if routed else planned.range_of_routing(pool, prompts, samples),
        "student": {
            "tokens_to_score": float(
                np.dot(means, [k.samples * len(prompts.asked_of(k.recipe.teacher)) for k in pool])
            ),
            "tokens_to_train_on": work.sft.epochs * count * examples * float(np.mean(means)),
        },
        "disk": disk_needed(
            work.models,
            absent,
            None if student.name in absent else student,
            work.sft,
            planned.totals([*rows, *exam])["completion_tokens"],
        ),
        "notes": [
            *judge_notes(judged, work.generate),
            *plan_notes(
                prompts,
                work,
                absent,
                assignments if routed is not None else None,
                focused is not None,
            ),
        ],
    }
    if focused is not None:
        mean = samples * float(np.mean([k.lengths.completion for k in pool]))
        summary["focus"] = focus_counts(focused, samples, mean)
    return pa.Table.from_pylist([*rows, *exam], PLAN), summary


def _exam(
    student: ResolvedModel, prompts: Prompts, work: Work, store: ResponseStore
) -> list[dict[str, Any]]:
    """Return the student's own calls: before training those the store lacks, after it all.

    First come its answers to train prompts, if ``route.focus`` asks for them.
    """

    def known(settings: FocusSettings | EvaluateSettings, systems: bool, most: int) -> Known:
        recipe = student_recipe(student, work.student, settings.sampling, systems)
        answered = answered_prompts(recipe, store, work.engine)
        lengths = lengths_of(recipe, answered, prompts.sample)
        return Known(recipe, most, by_sample(answered), lengths)

    rows, focus, count = [], work.route.focus, len(prompts.test)
    if focus.keep != "all":
        own = known(focus, prompts.train_systems, focus.draws)
        lacking = own.lacking(prompts.checkable, focus.draws)
        row = own.row(planned.FOCUS, focus.draws * len(prompts.checkable), lacking)
        rows.append({**row, "teacher": "student"})
    own = known(work.evaluate, prompts.systems, 1)
    before = own.row(planned.EVALUATE, count, own.lacking(prompts.test))
    after = own.row(planned.EVALUATE, count, count)
    return [*rows, {**before, "teacher": "student before"}, {**after, "teacher": "student after"}]
