"""What the teachers answer under each strategy, and the resulting training sets."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import (
    Trainable,
    choices_by_strategy,
    generate_side_by_side,
    strategy_examples,
    strategy_tokens,
)
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.quality import reward_model_scores
from persyn_kedro.domain.rewards import best_samples, unsolved_prompts
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.student import fits, untrained
from persyn_kedro.domain.teachers import Ledger, answer, resolve_recipes, sum_calls
from persyn_kedro.domain.training_set import (
    Wanted,
    build_sft_dataset,
    label_judge,
    quality_checker,
    routed_generation,
)
from persyn_kedro.foundations.prompts import Prompt
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
)


@step(
    versions_of=(routed_generation, reward_model_scores),
    needs=Needs.TEACHERS | Needs.JUDGE,
    check=check_samples,
    only_if={draws_several: ("rewards", "label.quality")},
    label=("allow_truncated",),
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
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    ledger: Ledger,
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return the responses of all strategies, each one's tokens, and the calls made now."""
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
        judge = label_judge(*checked, label.quality, models)
    responses, asked = generate_side_by_side(
        prompts,
        choices,
        list(teachers.root),
        generate,
        label.allow_truncated,
        ask,
        quality_checker(*checked),
        judge,
        best,
    )
    tokens = strategy_tokens(asked, choices, calibration_responses.to_table(), list(teachers.root))
    return responses, tokens, sum_calls(made, list(teachers.root))


@step(
    versions_of=(strategy_examples, unsolved_prompts, fits, build_sft_dataset),
    label=("allow_truncated", "unsolved"),
    sft=("max_length",),
    settings=("examples", "min_share"),
)
def build_strategy_examples(
    strategy_responses: pads.Dataset,
    allocations: pads.Dataset,
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
    allocated = allocations.to_table()
    from persyn_kedro.foundations.models import load_tokenizer

    tokenizer = load_tokenizer(untrained(models, student))

    def short_enough(prompt: Prompt, response: str) -> bool:
        return fits(tokenizer, student.system, prompt, response, sft.max_length)

    return strategy_examples(
        strategy_responses.to_table(),
        {
            name: [prompt_id for prompt_id in own if prompt_id not in unsolved]
            for name, own in choices_by_strategy(allocated).items()
        },
        dict(find_texts(source_prompts, allocated["prompt_id"])),
        Trainable(thinks_of(models, teachers), label.allow_truncated, short_enough),
        settings,
    )
