"""labels, router -> allocations -> examples -> trials -> strategy_comparison and its page."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.compare import page, students, training_sets

_TRAINING_SETS = [
    node(
        students.select_test_set,
        ["prompts", "splits", "params:label"],
        "test_set",
        name="select_test_set",
    ),
    node(
        training_sets.route_at_other_alphas,
        [
            "prompts",
            "splits",
            "calibration_responses",
            "token_statistics",
            "quality",
            "params:models",
            "params:teachers",
            "params:label",
            "params:train_router",
            "params:compare",
            "params:seed",
            "routing_store",
        ],
        "alpha_scores",
        name="route_at_other_alphas",
    ),
    node(
        training_sets.allocate_prompts,
        [
            "prompts",
            "splits",
            "rewards",
            "token_statistics",
            "assignments",
            "alpha_scores",
            "router_scores",
            "params:models",
            "params:teachers",
            "params:student",
            "params:label",
            "params:train_router",
            "params:compare",
            "params:seed",
        ],
        ["allocations", "strategy_notes"],
        name="allocate_prompts",
    ),
    node(
        training_sets.generate_strategies,
        [
            "prompts",
            "allocations",
            "calibration_responses",
            "params:models",
            "params:teachers",
            "params:engine",
            "params:generate",
            "params:label",
            "params:seed",
            "response_store",
            "quality_store",
            "ledger",
        ],
        ["strategy_responses", "strategy_tokens", "strategy_calls"],
        name="generate_strategies",
    ),
    node(
        training_sets.build_strategy_examples,
        [
            "strategy_responses",
            "allocations",
            "prompts",
            "rewards",
            "params:models",
            "params:teachers",
            "params:student",
            "params:label",
            "params:sft",
            "params:compare",
        ],
        ["strategy_examples", "example_notes"],
        name="build_strategy_examples",
    ),
]
_STUDENTS = [
    node(
        students.train_and_test_students,
        [
            "strategy_examples",
            "test_set",
            "params:models",
            "params:student",
            "params:sft",
            "params:evaluate",
            "params:engine",
            "params:label",
            "params:compare",
            "params:seed",
            "response_store",
            "quality_store",
            "trial_store",
            "trial_workspace",
        ],
        "trials",
        name="train_and_test_students",
    ),
    node(
        page.compare_strategies,
        [
            "trials",
            "strategy_tokens",
            "strategy_examples",
            "example_notes",
            "allocations",
            "strategy_notes",
            "prompts",
            "router_comparison",
            "params:teachers",
            "params:label",
            "params:compare",
            "params:seed",
        ],
        "strategy_comparison",
        name="compare_strategies",
    ),
]
_PAGE = [
    node(
        page.draw_strategy_plots,
        "strategy_comparison",
        ["score_against_tokens_plot", "score_against_alpha_plot", "teachers_by_kind_plot"],
        name="draw_strategy_plots",
    ),
    node(
        page.write_comparison_page,
        [
            "strategy_comparison",
            "router_comparison",
            "score_against_tokens_plot",
            "score_against_alpha_plot",
            "teachers_by_kind_plot",
            "router_calibration_plot",
            "router_learning_curve",
        ],
        "comparison_page",
        name="write_comparison_page",
    ),
]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [*_TRAINING_SETS, *_STUDENTS, *_PAGE],
        namespace="compare",
        prefix_datasets_with_namespace=False,
    )
