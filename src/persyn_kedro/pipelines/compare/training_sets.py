"""What the teachers answer under each strategy, and the resulting training sets."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import (
    Asked,
    Calibration,
    Choices,
    Trainable,
    choices_by_strategy,
    generate_side_by_side,
    strategy_examples,
    strategy_prompts,
    strategy_tokens,
    take_equal_tokens,
    taught_by_kind,
)
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.quality import Judge, reward_model_scores, verifier_of
from persyn_kedro.domain.rewards import best_samples, unsolved_prompts
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.student import WithinLimit, fits, untrained
from persyn_kedro.domain.teachers import Asking, Ledger, answer, resolve_recipes, sum_calls
from persyn_kedro.domain.training_set import (
    Wanted,
    build_sft_dataset,
    label_judge,
    quality_checker,
    routed_generation,
)
from persyn_kedro.foundations.processes import call_in_child
from persyn_kedro.foundations.settings import (
    CompareSettings,
    EngineSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    Needs,
    SftSettings,
    StudentSettings,
    Teachers,
    check_samples,
    draws_several,
    step,
    thinks_of,
    verifies_code,
)


@step(
    versions_of=(
        routed_generation,
        strategy_tokens,
        take_equal_tokens,
        reward_model_scores,
        Judge,
    ),
    needs=Needs.TEACHERS | Needs.JUDGE,
    check=check_samples,
    only_if={draws_several: ("rewards", "label.quality"), verifies_code: ("label.quality",)},
    label=("allow_truncated",),
    settings=("variants", "examples", "tokens"),
)
def generate_strategies(
    source_prompts: pads.Dataset,
    allocations: pads.Dataset,
    calibration_responses: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    engine: EngineSettings,
    generate: GenerateSettings,
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    ledger: Ledger,
) -> tuple[pa.Table, pa.Table, pa.Table, dict[str, Any], pa.Table]:
    """Return all strategies' responses, tokens and prompts, the budget, and the calls made now."""
    recipes = resolve_recipes(teachers, models)
    allocated = allocations.to_table()
    made = []

    def ask(wanted: Wanted) -> tuple[pa.Table, pa.Table]:
        responses, calls = answer(wanted, recipes, response_store, engine, seed, ledger, go_on=True)
        made.append(calls)
        return responses, calls

    choices = choices_by_strategy(allocated)
    prompts = find_texts(source_prompts, allocated["prompt_id"])
    best, judge = None, None
    if draws_several((teachers, generate)):
        best = best_samples(rewards, prompts.ids, list(teachers.root))
    checked = (source_prompts, thinks_of(models, teachers), quality_store, pa.Table.to_batches)
    if generate.judged:
        calls = Asking(response_store, engine, seed, ledger)
        judge = label_judge(*checked, label.quality, models, calls)
    check, names = quality_checker(*checked, verifier_of(label.quality)), list(teachers.root)

    def side_by_side(chosen: Mapping[str, Choices]) -> tuple[pa.Table, Asked]:
        return generate_side_by_side(
            prompts, chosen, names, generate, label.allow_truncated, ask, check, judge, best
        )

    draws = 1 if generate.keep == "first" else generate.samples  # the first: one by one
    calibration = Calibration(
        calibration_responses.to_table(), choices, names, settings.blind, draws
    )
    if settings.examples == "equal_tokens":
        responses, asked, notes = take_equal_tokens(
            side_by_side, choices, calibration, settings.tokens, seed
        )
    else:
        (responses, asked), notes = side_by_side(choices), {"tokens": None}
    return (
        responses,
        strategy_tokens(asked, calibration, names),
        strategy_prompts(asked, choices, calibration),
        notes,
        sum_calls(made, names),
    )


@step(
    versions_of=(strategy_examples, taught_by_kind, unsolved_prompts, fits, build_sft_dataset),
    label=("allow_truncated", "unsolved"),
    sft=("max_length",),
    settings=("examples", "min_share", "students"),
)
def build_strategy_examples(
    strategy_responses: pads.Dataset,
    taken_prompts: pads.Dataset,
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    sft: SftSettings,
    settings: CompareSettings,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the training sets (``schemas.STRATEGY_EXAMPLES``), and what was left out."""
    unsolved = unsolved_prompts(rewards.to_table()) if label.unsolved == "leave_out" else ()
    taken = taken_prompts.to_table(columns=["strategy", "prompt_id"])
    asked: dict[str, list[str]] = {}
    for row in taken.to_pylist():
        asked.setdefault(row["strategy"], []).append(row["prompt_id"])
    responses = strategy_responses.to_table()
    short_enough = WithinLimit(untrained(models, student), student.system, sft.max_length)
    examples, notes = call_in_child(
        strategy_examples,
        responses,
        {
            name: [prompt_id for prompt_id in own if prompt_id not in unsolved]
            for name, own in asked.items()
        },
        dict(find_texts(source_prompts, taken["prompt_id"])),
        Trainable(thinks_of(models, teachers), label.allow_truncated, short_enough),
        settings,
        label="training sets",
    )
    sources = source_prompts.to_table(columns=["prompt_id", "source"]).to_pydict()
    kinds = dict(zip(sources["prompt_id"], sources["source"], strict=True))
    return examples, {**notes, "taught": taught_by_kind(examples, responses, kinds)}
