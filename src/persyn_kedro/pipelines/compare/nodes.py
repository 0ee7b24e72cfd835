"""The training sets of all strategies, students trained on each, and how they compare."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison.summary import build_comparison
from persyn_kedro.domain.comparison.trials import check_test_set, run_trials
from persyn_kedro.domain.pool import thinks_of
from persyn_kedro.domain.prompts.selection import select_prompts
from persyn_kedro.domain.reporting import strategy_plots
from persyn_kedro.domain.reporting.comparison_page import comparison_page
from persyn_kedro.domain.rewards import unsolved_prompts
from persyn_kedro.domain.routers.assignment import check_assignments
from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.domain.stores.response_store import ResponseStore
from persyn_kedro.domain.stores.routing_store import RoutingStore
from persyn_kedro.domain.stores.trial_store import TrialStore
from persyn_kedro.domain.strategies.allocation import PERSYN, Pool, allocate
from persyn_kedro.domain.strategies.alphas import score_at_alphas
from persyn_kedro.domain.strategies.costs import price_strategies, strategy_tokens
from persyn_kedro.domain.strategies.examples import strategy_examples
from persyn_kedro.domain.strategies.generation import generate_side_by_side
from persyn_kedro.domain.student.sft import fits
from persyn_kedro.domain.student.trained import untrained
from persyn_kedro.domain.student.trial import Setup
from persyn_kedro.domain.teachers.answering import answer
from persyn_kedro.domain.teachers.budget import Ledger
from persyn_kedro.domain.teachers.recipes import pool_identity, resolve_recipes
from persyn_kedro.domain.training_set.checking import exact_checker
from persyn_kedro.domain.training_set.routed import sum_calls
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.evidence_parameters import CompareSettings
from persyn_kedro.foundations.parameters import (
    EngineSettings,
    EvaluateSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    SftSettings,
    StudentSettings,
    Teachers,
    TrainRouterSettings,
)
from persyn_kedro.foundations.step import step
from persyn_kedro.foundations.weights import resolve_models


@step(label=("quality",))
def select_test_set(prompts: pads.Dataset, splits: pads.Dataset, label: LabelSettings) -> pa.Table:
    """Return the prompts that all students answer (``schemas.PROMPTS``).

    Raises:
        PersynError: students could not be compared on them; nothing is paid for or trained yet.
    """
    rows = _rows(prompts, splits, {"test"})
    check_test_set(rows, label.quality)
    return pa.Table.from_pylist(rows, schemas.PROMPTS)


@step(label=("alpha", "allow_truncated", "unsolved"), settings=("alphas",))
def route_at_other_alphas(
    prompts: pads.Dataset,
    splits: pads.Dataset,
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    train_router: TrainRouterSettings,
    settings: CompareSettings,
    seed: int,
    routing_store: RoutingStore,
) -> pa.Table:
    """Return the scores of routers trained at other alphas (``schemas.ALPHA_SCORES``)."""
    return score_at_alphas(
        [alpha for alpha in settings.alphas if alpha != label.alpha],
        _rows(prompts, splits, {"calibration", "train"}),
        (calibration_responses.to_table(), token_statistics.to_table(), quality.to_table()),
        list(teachers.root),
        label,
        train_router,
        resolve_models(models, [train_router.backbone])[train_router.backbone],
        seed,
        routing_store,
    )


@step(
    models=("family",),
    label=("alpha",),
    train_router=("kind",),
    settings=("strategies", "alphas", "mix_strong_share", "car_beta"),
)
def allocate_prompts(
    prompts: pads.Dataset,
    splits: pads.Dataset,
    rewards: pads.Dataset,
    assignments: pads.Dataset,
    alpha_scores: pads.Dataset,
    router_scores: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    train_router: TrainRouterSettings,
    settings: CompareSettings,
    seed: int,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return who answers what under each strategy, and what to know of the strategies."""
    check_assignments(assignments.schema, pool_identity(resolve_recipes(teachers, models)))
    rows = _rows(prompts, splits, {"calibration", "train"})
    held_out = [
        row
        for row in router_scores.to_table().to_pylist()
        if row["kind"] == train_router.kind and row["size"] == 1.0
    ]
    return allocate(
        [row["prompt_id"] for row in rows if row["part"] != "withheld"],
        Pool(
            list(teachers.root),
            {name: models.root[t.model].family for name, t in teachers.root.items()},
            models.root[student.model].family,
        ),
        rewards.to_table(),
        _scores(assignments.to_table(columns=["prompt_id", "scores"]).to_pylist()),
        _by_alpha(alpha_scores, [alpha for alpha in settings.alphas if alpha != label.alpha]),
        _scores(held_out),
        settings,
        seed,
    )


@step(label=("allow_truncated",))
def generate_strategies(
    prompts: pads.Dataset,
    allocations: pads.Dataset,
    calibration_responses: pads.Dataset,
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
    """Return the responses of all strategies, what each takes alone, and the calls made now."""
    recipes = resolve_recipes(teachers, models)
    rows = {row["prompt_id"]: row for row in prompts.to_table().to_pylist()}
    made = []

    def ask(wanted: dict[str, list[tuple[str, str]]]) -> tuple[pa.Table, pa.Table]:
        responses, calls = answer(wanted, recipes, response_store, engine, seed, ledger, go_on=True)
        made.append(calls)
        return responses, calls

    choices = _choices(allocations)
    responses, asked = generate_side_by_side(
        {prompt_id: row["prompt"] for prompt_id, row in rows.items()},
        choices,
        list(teachers.root),
        generate,
        label.allow_truncated,
        ask,
        exact_checker(rows, thinks_of(models, teachers), quality_store),
    )
    tokens = strategy_tokens(asked, choices, calibration_responses.to_table(), list(teachers.root))
    return responses, tokens, sum_calls(made, list(teachers.root))


@step(
    label=("allow_truncated", "unsolved"), sft=("max_length",), settings=("examples", "min_share")
)
def build_strategy_examples(
    strategy_responses: pads.Dataset,
    allocations: pads.Dataset,
    prompts: pads.Dataset,
    rewards: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    sft: SftSettings,
    settings: CompareSettings,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the strategies' training sets (``STRATEGY_EXAMPLES``), and what was left out."""
    unsolved = unsolved_prompts(rewards.to_table()) if label.unsolved == "leave_out" else ()
    from persyn_kedro.foundations.loading import load_tokenizer

    tokenizer = load_tokenizer(untrained(models, student))

    def short_enough(prompt: str, response: str) -> bool:
        return fits(tokenizer, student.system, prompt, response, sft.max_length)

    return strategy_examples(
        strategy_responses.to_table(),
        {
            name: [prompt_id for prompt_id in own if prompt_id not in unsolved]
            for name, own in _choices(allocations).items()
        },
        {row["prompt_id"]: row["prompt"] for row in prompts.to_table().to_pylist()},
        thinks_of(models, teachers),
        label.allow_truncated,
        short_enough,
        settings,
    )


@step(evaluate=("sampling",), label=("quality",), settings=("seeds",))
def train_and_test_students(
    strategy_examples: pads.Dataset,
    test_set: pads.Dataset,
    models: Models,
    student: StudentSettings,
    sft: SftSettings,
    evaluate: EvaluateSettings,
    engine: EngineSettings,
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    trial_store: TrialStore,
    workspace: Path,
) -> pa.Table:
    """Return the test answers' quality of a student for each strategy and seed (``TRIALS``)."""
    test = test_set.to_table().to_pylist()
    judge = label.quality.model
    return run_trials(
        strategy_examples.to_table(),
        Setup(models, student, sft, evaluate, engine, seed, test),
        settings.seeds,
        label.quality,
        resolve_models(models, [judge])[judge] if judge else None,
        (response_store, quality_store, trial_store),
        workspace,
    )


@step(
    teachers=("price", "prompt_price"),
    label=("alpha",),
    settings=("resamples", "confidence", "examples"),
)
def compare_strategies(
    trials: pads.Dataset,
    strategy_tokens: pads.Dataset,
    strategy_examples: pads.Dataset,
    example_notes: dict[str, Any],
    allocations: pads.Dataset,
    strategy_notes: dict[str, Any],
    prompts: pads.Dataset,
    router_comparison: dict[str, Any],
    teachers: Teachers,
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
) -> dict[str, Any]:
    """Return the comparison's content: scores, costs, allocations, verdicts."""
    return build_comparison(
        trials.to_table(),
        price_strategies(strategy_tokens.to_table(), teachers),
        strategy_examples.to_table(),
        {
            **strategy_notes,
            **example_notes,
            "left_out": {**strategy_notes["left_out"], **example_notes["left_out"]},
        },
        _choices(allocations)[PERSYN],
        {row["prompt_id"]: row["source"] for row in prompts.to_table().to_pylist()},
        router_comparison,
        list(teachers.root),
        label,
        settings,
        seed,
    )


@step()
def draw_strategy_plots(strategy_comparison: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """Return score against tokens, score against alpha, and teachers by kind of prompt, as PNG."""
    return (
        strategy_plots.score_against_tokens(strategy_comparison),
        strategy_plots.score_against_alpha(strategy_comparison),
        strategy_plots.teachers_by_kind(strategy_comparison),
    )


@step()
def write_comparison_page(
    strategy_comparison: dict[str, Any],
    router_comparison: dict[str, Any],
    tokens_plot: bytes,
    alpha_plot: bytes,
    allocation_plot: bytes,
    calibration_plot: bytes,
    learning_curve: bytes,
) -> str:
    """Return the comparison as a self-contained page."""
    return comparison_page(
        strategy_comparison,
        router_comparison,
        {
            "tokens": tokens_plot,
            "alpha": alpha_plot,
            "allocation": allocation_plot,
            "calibration": calibration_plot,
            "curve": learning_curve,
        },
    )


def _rows(prompts: pads.Dataset, splits: pads.Dataset, split: set[str]) -> list[dict[str, Any]]:
    return select_prompts(prompts.to_table(), splits.to_table(), split)


def _scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {row["prompt_id"]: row["scores"] for row in rows}


def _by_alpha(
    alpha_scores: pads.Dataset, alphas: list[float]
) -> dict[float, dict[str, list[float]]]:
    found: dict[float, dict[str, list[float]]] = {alpha: {} for alpha in alphas}
    for row in alpha_scores.to_table().to_pylist():
        if row["alpha"] in found:
            found[row["alpha"]][row["prompt_id"]] = row["scores"]
    return found


def _choices(allocations: pads.Dataset) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for row in allocations.to_table().to_pylist():
        found.setdefault(row["strategy"], {})[row["prompt_id"]] = row["choices"]
    return found
