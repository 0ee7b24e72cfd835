"""Each teacher answers only its own prompts; the answers become the training set."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import (
    ANSWERED,
    places_of,
    prompts_left_out,
    select_ids,
    select_texts,
    without,
)
from persyn_kedro.domain.quality import Judge, reward_model_scores, verifier_of
from persyn_kedro.domain.rewards import best_samples, unsolved_prompts
from persyn_kedro.domain.routers import check_assignments, ranked_places
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.teachers import (
    Asking,
    Ledger,
    make_sure,
    pool_identity,
    resolve_recipes,
    with_texts,
)
from persyn_kedro.domain.training_set import (
    Wanted,
    build_sft_dataset as merge_examples,
    label_judge,
    quality_checker,
    routed_generation,
)
from persyn_kedro.foundations.settings import (
    EngineSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    Needs,
    RoundsSettings,
    RouteSettings,
    StudentSettings,
    Teachers,
    check_samples,
    draws_several,
    leaves_out,
    step,
    thinks_of,
    verifies_code,
)


@step(
    versions_of=(routed_generation, ranked_places, reward_model_scores, Judge),
    needs=Needs.TEACHERS | Needs.JUDGE,
    check=check_samples,
    only_if={
        draws_several: ("rewards", "label.quality"),
        verifies_code: ("label.quality",),
        leaves_out: ("focus", "route", "rounds"),
    },
    label=("allow_truncated",),
    route=("focus",),
    rounds=("count",),
)
def generate_responses(
    prompts: pads.Dataset,
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    focus: pads.Dataset,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    route: RouteSettings,
    rounds: RoundsSettings,
    settings: GenerateSettings,
    label: LabelSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    ledger: Ledger,
) -> tuple[pa.RecordBatchReader, pa.Table]:
    """Return the routed responses of calibration and train prompts, streamed, and the calls.

    A calibration prompt's best answer from labelling comes before its teacher's others. Prompts
    that ``focus`` leaves out get none.
    """
    recipes = resolve_recipes(teachers, models)
    check_assignments(assignments.schema, pool_identity(recipes))
    chosen = select_texts(prompts, ANSWERED)
    if leaves_out((route, rounds)):
        chosen = chosen.at(without(chosen.ids, prompts_left_out(focus)))
    scored, choices = ranked_places(assignments, settings.max_calls)
    thinks, best, judge = thinks_of(models, teachers), None, None
    if draws_several((teachers, settings)):
        best = best_samples(rewards, chosen.ids, list(teachers.root))

    def ask(wanted: Wanted) -> tuple[pa.Table, pa.Table]:
        return make_sure(wanted, recipes, response_store, engine, seed, ledger, go_on=True)

    def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
        return with_texts(outcomes, recipes, response_store)

    checked = (prompts, thinks, quality_store, texts)
    if settings.judged:
        calls = Asking(response_store, engine, seed, ledger)
        judge = label_judge(*checked, label.quality, models, calls)
    return routed_generation(
        chosen,
        choices[places_of(chosen.ids, scored)],
        list(teachers.root),
        settings,
        label.allow_truncated,
        ask,
        quality_checker(*checked, verifier_of(label.quality)),
        texts,
        judge,
        best,
    )


@step(
    versions_of=(merge_examples, unsolved_prompts),
    spoken={"sft_dataset": "SFT dataset"},
    label=("allow_truncated", "unsolved"),
)
def build_sft_dataset(
    routed_responses: pads.Dataset,
    prompts: pads.Dataset,
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
) -> pa.RecordBatchReader:
    """Return the merged training set, streamed (``schemas.SFT_DATASET``)."""
    unsolved: frozenset[str] = frozenset()
    if label.unsolved == "leave_out":
        unsolved = unsolved_prompts(rewards.to_table(columns=["prompt_id", "valid"]))
    return merge_examples(
        routed_responses,
        prompts,
        select_ids(prompts, ANSWERED),
        assignments,
        rewards,
        thinks_of(models, teachers),
        student.system,
        label.allow_truncated,
        unsolved,
    )
