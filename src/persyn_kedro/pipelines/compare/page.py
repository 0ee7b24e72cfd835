"""How the strategies' students compare: the metrics, the plots and the page."""

from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import (
    PERSYN,
    TrainingSets,
    allocate,
    build_comparison,
    choices_by_strategy,
    price_strategies,
)
from persyn_kedro.domain.intervals import certainty, joint_level_of_differences, mean_over_prompts
from persyn_kedro.domain.reporting import (
    calibration_plot,
    comparison_page,
    comparison_text,
    plotly_figure,
    score_against_alpha,
    score_against_tokens,
    teachers_by_kind,
)
from persyn_kedro.foundations.settings import (
    PRICES,
    CompareSettings,
    LabelSettings,
    Models,
    Needs,
    Teachers,
    has_price_factor,
    prices_of,
    step,
)


@step(
    versions_of=(
        build_comparison,
        allocate,
        price_strategies,
        mean_over_prompts,
        certainty,
        joint_level_of_differences,
    ),
    prints={comparison_text: ("strategy_comparison",)},
    teachers=PRICES,
    models=("price_factor",),
    only_if={has_price_factor: ("models",)},
    label=("alpha",),
    settings=("resamples", "confidence", "intervals", "examples", "variants"),
)
def compare_strategies(
    trials: pads.Dataset,
    strategy_tokens: pads.Dataset,
    strategy_examples: pads.Dataset,
    test_notes: dict[str, Any],
    example_notes: dict[str, Any],
    budget_notes: dict[str, Any],
    allocations: pads.Dataset,
    strategy_notes: dict[str, Any],
    source_prompts: pads.Dataset,
    router_comparison: dict[str, Any],
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    settings: CompareSettings,
    seed: int,
) -> dict[str, Any]:
    """Return the comparison's content: scores, costs, allocations, verdicts."""
    asked = source_prompts.to_table(columns=["prompt_id", "source"]).to_pydict()
    return build_comparison(
        trials.to_table(),
        TrainingSets(
            strategy_examples.to_table(),
            price_strategies(strategy_tokens.to_table(), prices_of(teachers, models)),
            {
                **strategy_notes,
                **example_notes,
                **test_notes,
                "left_out": {
                    **strategy_notes["left_out"],
                    **example_notes["left_out"],
                },
            },
            budget_notes,
        ),
        choices_by_strategy(allocations.to_table())[PERSYN],
        dict(zip(asked["prompt_id"], asked["source"], strict=True)),
        list(teachers.root),
        router_comparison,
        label,
        settings,
        seed,
    )


@step(version=2, versions_of=(score_against_tokens,), needs=Needs.DRAWINGS)
def draw_strategy_plots(
    strategy_comparison: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return score by tokens, score by alpha, and teachers by kind of prompt, as Plotly JSON."""
    return (
        plotly_figure(score_against_tokens(strategy_comparison)),
        plotly_figure(score_against_alpha(strategy_comparison)),
        plotly_figure(teachers_by_kind(strategy_comparison)),
    )


@step(
    version=2,
    versions_of=(comparison_page, calibration_plot, score_against_tokens),
    needs=Needs.DRAWINGS,
)
def write_comparison_page(
    strategy_comparison: dict[str, Any], router_comparison: dict[str, Any]
) -> str:
    """Return the comparison as a self-contained page."""
    return comparison_page(strategy_comparison, router_comparison)
