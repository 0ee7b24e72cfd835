"""A run's plan: calls, tokens and cost by step and teacher, and totals for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.designs.balanced import asked_prompts
from persyn_kedro.domain.planning import calls as planned
from persyn_kedro.domain.planning.calls import Known
from persyn_kedro.domain.planning.disk import disk_needed
from persyn_kedro.domain.planning.focused import focused_prompts
from persyn_kedro.domain.planning.lengths import SAMPLE, lengths_of
from persyn_kedro.domain.prompts.left_out import focus_counts, focus_identity
from persyn_kedro.domain.prompts.select import (
    ANSWERED,
    TEST,
    TRAIN,
    holds_system,
    select_ids,
    select_texts,
    within,
)
from persyn_kedro.domain.routers.assignment import pool_of, weighed_by
from persyn_kedro.domain.routers.saving import pool_difference
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.student.test_set import student_recipe
from persyn_kedro.domain.teachers.recipe import pool_identity
from persyn_kedro.domain.teachers.requests import answered_prompts
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_models
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import FocusSettings, RouteSettings, leaves_out
from persyn_kedro.foundations.settings.student import EvaluateSettings, SftSettings, StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables.schemas import PLAN


@dataclass(frozen=True)
class Work:
    """The settings that determine how much work there is."""

    models: Models
    teachers: Teachers
    student: StudentSettings
    engine: EngineSettings
    generate: GenerateSettings
    sft: SftSettings
    evaluate: EvaluateSettings
    route: RouteSettings = RouteSettings()
    rounds: RoundsSettings = RoundsSettings()


def read_prompts(
    prompts: pads.Dataset, teachers: Teachers, label: LabelSettings, seed: int
) -> planned.Prompts:
    """Return the prompts' ids by split, and a sample of them; never all texts.

    ``label`` and ``seed`` say whom calibration asks.
    """
    asked = select_texts(prompts, ANSWERED)
    some = np.linspace(0, len(asked) - 1, min(SAMPLE, len(asked))).astype(int)
    by_split = {
        name: select_ids(prompts, [name])["prompt_id"].combine_chunks()
        for name in ("calibration", "train", "test")
    }
    sample = [prompt for _, prompt in asked.at(some)]
    known = within(prompts, TRAIN) & pads.field("reference").is_valid()
    own, names = by_split["calibration"].to_pylist(), list(teachers.root)
    by_teacher = asked_prompts(own, names, label, seed)
    return planned.Prompts(
        **by_split,
        sample=sample,
        systems=holds_system(prompts, TEST),
        asked={name: pa.array(ids, pa.string()) for name, ids in by_teacher.items()},
        adaptive=label.design.adaptive is not None,
        train_systems=holds_system(prompts, TRAIN),
        checkable=prompts.to_table(columns=["prompt_id"], filter=known)[
            "prompt_id"
        ].combine_chunks(),
    )


def routed_prompts(
    assignments: pads.Dataset, prompts: planned.Prompts, pool: Sequence[planned.Known]
) -> dict[str, planned.Routed] | None:
    """Return by teacher the prompts that a router sent to it (from ASSIGNMENTS).

    None if they are for another pool (including the same names with other models, prompts or
    sampling), or lack a train prompt.
    """
    recipes = [known.recipe for known in pool]
    if pool_difference(pool_of(assignments.schema), pool_identity(recipes)):
        return None
    table = assignments.to_table(columns=["prompt_id", "teacher"])
    if pc.sum(pc.is_in(prompts.train, value_set=table["prompt_id"])).as_py() != len(prompts.train):
        return None

    def sent(teacher: str, among: pa.Array) -> pa.Array:
        to_it = table.filter(pc.equal(table["teacher"], teacher))["prompt_id"]
        return to_it.filter(pc.is_in(to_it, value_set=among)).combine_chunks()

    return {
        r.teacher: planned.Routed(
            sent(r.teacher, prompts.calibration), sent(r.teacher, prompts.train)
        )
        for r in recipes
    }


def estimate_table(
    prompts: planned.Prompts,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    generate: GenerateSettings,
    store: ResponseStore,
) -> pa.Table:
    """Return PLAN of the teachers' calls, before a router has chosen.

    The models are fetched: without a model's chat template its answers in the store are not found,
    so the table would depend on what this disk's cache contains.
    """
    found = resolve_models(models, [t.model for t in teachers.root.values()])
    pool = planned.known_teachers(teachers, found, store, engine, prompts.sample)
    rows = planned.plan_calls(pool, prompts, None, generate.at_once, generate.draws)
    return pa.Table.from_pylist(rows, PLAN)


def make_plan(
    prompts: planned.Prompts,
    assignments: pads.Dataset | None,
    work: Work,
    store: ResponseStore,
    focus: pads.Dataset | None = None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return PLAN, and its summary: sums, comparison, the student's work, disk, notes.

    Args:
        assignments: the newest, if any; another pool's are ignored.
        focus: likewise, those for other settings.
    """
    names = [t.model for t in work.teachers.root.values()]
    models, absent = planned.models_at_hand(work.models, [*names, work.student.model])
    pool = planned.known_teachers(work.teachers, models, store, work.engine, prompts.sample)
    samples, student = work.generate.at_once, models[work.student.model]
    wanted = focus_identity(work.route.focus, work.rounds, student.weights_id)
    prompts, focused = focused_prompts(prompts, focus, wanted)
    routed = routed_prompts(assignments, prompts, pool) if assignments is not None else None
    rows = planned.plan_calls(pool, prompts, routed, samples, work.generate.draws)
    exam = _exam(student, prompts, work, store)
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
            *_design_notes(prompts),
            *_notes(absent, work, routed is not None, focused is not None),
            *_route_notes(work.route, assignments if routed is not None else None),
        ],
    }
    if focused is not None:
        mean = samples * float(np.mean([k.lengths.completion for k in pool]))
        summary["focus"] = focus_counts(focused, samples, mean)
    return pa.Table.from_pylist([*rows, *exam], PLAN), summary


def _exam(
    student: ResolvedModel, prompts: planned.Prompts, work: Work, store: ResponseStore
) -> list[dict[str, Any]]:
    """Return the student's own calls: before training those the store lacks, after it all.

    First come its answers to train prompts, if ``route.focus`` asks for them.
    """

    def known(settings: FocusSettings | EvaluateSettings, systems: bool, most: int) -> Known:
        recipe = student_recipe(student, work.student, settings.sampling, systems)
        answered = answered_prompts(recipe, store, work.engine)
        lengths = lengths_of(recipe, answered, prompts.sample)
        return Known(recipe, most, planned.by_sample(answered), lengths)

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


def _design_notes(prompts: planned.Prompts) -> list[str]:
    if not prompts.adaptive:
        return []
    return [
        "label.design is adaptive: the calibration calls are the first ones, at random. It asks "
        "more while that is expected to pay, at most every teacher every prompt."
    ]


def _route_notes(route: RouteSettings, assignments: pads.Dataset | None) -> list[str]:
    """Say what costs and limits mean for the routed calls, and whether the routing is older."""
    notes = []
    if assignments is not None:
        made = weighed_by(assignments.schema) or {}
        names = ("objective", "budget", "capacity")
        now = route.model_dump(mode="json", include=set(names)) if route.weighed else {}
        if {name: made[name] for name in names if name in made} != now:
            notes.append(
                "The newest routing was made with other settings of route.objective, budget or "
                "capacity: run `kedro run --pipelines=route`, then plan again."
            )
        elif made:
            expected = made["expected"]
            notes.append(
                f"Routing expects {expected['tokens']:,.0f} tokens (prompts and answers) and cost "
                f"{expected['money']:.4g} for all routed answers, those in the store included."
            )
    elif route.weighed:
        notes.append(
            "route.objective, budget and capacity are not in these figures: routing weighs them "
            f"once the calibration answers are there ({route.rules})."
        )
    return notes


def _notes(absent: Sequence[str], work: Work, routed: bool, focused: bool) -> list[str]:
    notes = []
    if leaves_out((work.route, work.rounds)) and not focused:
        notes.append(
            "The routed calls are those of all train prompts: which of them route.focus and rounds "
            "leave out is not known yet. `kedro run --nodes=route.focus_prompts` finds out; it "
            "calls no teacher."
        )
    priced = any(t.price or t.prompt_price for t in work.teachers.root.values())
    if routed:
        notes.append(
            "The routed calls follow the newest router's choices. A router that is trained again, "
            "for example after the rewards change, may choose differently."
        )
    if absent:
        notes.append(
            f"Not fetched yet: {', '.join(absent)}. Their answers in the store are not counted."
        )
    generate = work.generate
    asks_again = generate.verification in ("next_choice", "resample")
    if generate.most_calls > generate.at_once:
        why = f"verification is {generate.verification}" if asks_again else "keep is first"
        notes.append(f"generate.{why}: a prompt may take up to {generate.most_calls} routed calls.")
    if generate.on_failure == "next_choice":
        notes.append("generate.on_failure is next_choice: failed calls go to another teacher.")
    notes += [
        f"{name} is asked by a batch API, at {endpoint.batch_price_factor:g} of its prices: runs "
        "end as waiting until the answers are there."
        for name, teacher in work.teachers.root.items()
        if (endpoint := work.models.root[teacher.model].endpoint) and endpoint.batch
    ]
    if not priced:
        notes.append("No prices are set (teachers.<name>.price and prompt_price): costs are 0.")
    return notes
