"""labels, router -> allocations -> examples -> trials -> strategy_comparison and its page."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.compare import allocation, page, students, training_sets
from persyn_kedro.pipelines.described import node

_TRAINING_SETS = [
    node(
        students.select_test_set,
        ["prompts", "params:label"],
        "test_set",
        name="select_test_set",
        does="Selects the test prompts that all compared students answer.",
    ),
    node(
        allocation.route_at_other_alphas,
        [
            "prompts",
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
        does="Routes with routers trained on other mixtures of quality and learnability.",
    ),
    node(
        allocation.allocate_prompts,
        [
            "prompts",
            "rewards",
            "token_statistics",
            "assignments",
            "alpha_scores",
            "router_scores",
            "focus",
            "params:models",
            "params:teachers",
            "params:student",
            "params:label",
            "params:train_router",
            "params:route",
            "params:rounds",
            "params:compare",
            "params:seed",
            "cost_model",
        ],
        ["allocations", "strategy_notes"],
        name="allocate_prompts",
        does="Decides for each strategy which teacher answers which prompt.",
    ),
    node(
        training_sets.generate_strategies,
        [
            "source_prompts",
            "allocations",
            "calibration_responses",
            "rewards",
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
        does="Generates the answers that any strategy needs and the store lacks, each only once.",
    ),
    node(
        training_sets.build_strategy_examples,
        [
            "strategy_responses",
            "allocations",
            "source_prompts",
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
        does="Builds each strategy's training set: the same prompts and number of examples for "
        "all.",
    ),
]
_STUDENTS = [
    node(
        students.train_and_test_students,
        [
            "strategy_examples",
            "test_set",
            "source_prompts",
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
        does="Trains a student for each strategy and seed, and has it answer the test prompts.",
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
            "source_prompts",
            "router_comparison",
            "params:teachers",
            "params:label",
            "params:compare",
            "params:seed",
        ],
        "strategy_comparison",
        name="compare_strategies",
        does="Compares the strategies' students: scores, spread over seeds, intervals, costs, "
        "verdicts.",
    ),
]
_PAGE = [
    node(
        page.draw_strategy_plots,
        "strategy_comparison",
        ["score_against_tokens_plot", "score_against_alpha_plot", "teachers_by_kind_plot"],
        name="draw_strategy_plots",
        does="Plots score by tokens, score by alpha, and which teachers got which kinds of prompt.",
    ),
    node(
        page.write_comparison_page,
        ["strategy_comparison", "router_comparison"],
        "comparison_page",
        name="write_comparison_page",
        does="Writes the comparison as a page.",
    ),
]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [*_TRAINING_SETS, *_STUDENTS, *_PAGE],
        namespace="compare",
        prefix_datasets_with_namespace=False,
    )
