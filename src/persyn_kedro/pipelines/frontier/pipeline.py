"""rewards, cost_model -> frontier_scores -> frontier and its plot."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.frontier import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.score_out_of_fold,
                [
                    "source_prompts",
                    "rewards",
                    "params:models",
                    "params:teachers",
                    "params:train_router",
                    "params:compare_routers",
                    "params:seed",
                    "routing_store",
                ],
                "frontier_scores",
                name="score_out_of_fold",
                does="Scores every calibration prompt with a router that was not trained on it.",
            ),
            node(
                nodes.measure_frontier,
                [
                    "frontier_scores",
                    "source_prompts",
                    "rewards",
                    "calibration_responses",
                    "cost_model",
                    "params:models",
                    "params:teachers",
                    "params:train_router",
                    "params:route",
                    "params:compare_routers",
                    "params:compare",
                    "params:seed",
                ],
                "frontier",
                name="measure_frontier",
                does="Measures reward and cost of routing with various weights of the cost, from "
                "the calibration answers; makes no calls.",
            ),
            node(
                nodes.draw_frontier,
                "frontier",
                "frontier_plot",
                name="draw_frontier",
                does="Plots expected reward against tokens, with intervals.",
            ),
        ],
        namespace="frontier",
        prefix_datasets_with_namespace=False,
    )
