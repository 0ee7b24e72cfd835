"""A comparison for publication: small tables, from which its figures are computed again."""

import json
from dataclasses import astuple
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import (
    COMPARE,
    COMPARE_ROUTERS,
    published_answers,
    published_choices,
    published_examples,
)
from persyn_kedro.domain.router_comparison import calibration_spent, preference_routers
from persyn_kedro.foundations.settings import (
    PRICES,
    CompareRoutersSettings,
    CompareSettings,
    LabelSettings,
    Models,
    Teachers,
    TrainRouterSettings,
    has_price_factor,
    prices_of,
    step,
)

_TRIALS = ["strategy", "seed", "prompt_id", "finish_reason", "completion_tokens", "quality"]
_EXAMPLES = ["strategy", "prompt_id", "teacher", "response_key"]
_ANSWERS = ["strategy", "prompt_id", "response_key", "completion_tokens"]


@step(
    versions_of=(published_answers, preference_routers),
    teachers=PRICES,
    models=("price_factor",),
    only_if={has_price_factor: ("models",)},
    label=("alpha",),
    settings=COMPARE,
    compare_routers=(*COMPARE_ROUTERS, "kinds", "routers"),
)
def publish_comparison(
    prompts: pads.Dataset,
    source_prompts: pads.Dataset,
    rewards: pads.Dataset,
    calibration_responses: pads.Dataset,
    router_scores: pads.Dataset,
    allocations: pads.Dataset,
    strategy_notes: dict[str, Any],
    taken_prompts: pads.Dataset,
    budget_notes: dict[str, Any],
    strategy_tokens: pads.Dataset,
    strategy_responses: pads.Dataset,
    strategy_examples: pads.Dataset,
    test_notes: dict[str, Any],
    example_notes: dict[str, Any],
    trials: pads.Dataset,
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    train_router: TrainRouterSettings,
    compare_routers: CompareRoutersSettings,
    settings: CompareSettings,
    seed: int,
) -> dict[str, str | pa.RecordBatchReader]:
    """Return the files: ``domain.comparison.published.TABLES`` as Parquet, and ``about.json``."""
    sources = source_prompts.to_table(columns=["prompt_id", "source"])
    split = prompts.to_table(columns=["prompt_id", "split"])
    prices, answered = prices_of(teachers, models), calibration_responses.to_table()
    tables = {
        "prompts": split.join(sources, "prompt_id").sort_by("prompt_id"),
        "answers": published_answers(rewards.to_table(), answered),
        "router_scores": router_scores.to_table(),
        "choices": published_choices(allocations.to_table(), taken_prompts.to_table()),
        "examples": published_examples(
            strategy_examples.to_table(columns=_EXAMPLES),
            strategy_responses.to_table(columns=_ANSWERS),
        ),
        "tokens": strategy_tokens.to_table(),
        "trials": trials.to_table(columns=_TRIALS),
    }
    left_out = {**strategy_notes["left_out"], **example_notes["left_out"]}
    about = {
        "seed": seed,
        "alpha": label.alpha,
        "teachers": list(teachers.root),
        "prices": {name: astuple(one) for name, one in prices.items()},
        "compare": settings.model_dump(mode="json", include={*COMPARE}, exclude_none=True),
        "compare_routers": compare_routers.model_dump(mode="json", include={*COMPARE_ROUTERS}),
        "spent": astuple(calibration_spent(answered, prices)),
        "preferences": preference_routers(compare_routers, train_router),
        "notes": {**strategy_notes, **example_notes, **test_notes, "left_out": left_out},
        "budget": budget_notes,
    }
    files = {f"{name}.parquet": table.to_reader() for name, table in tables.items()}
    return {**files, "about.json": json.dumps(about, indent=2) + "\n"}
