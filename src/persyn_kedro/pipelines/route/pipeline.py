"""calibration_responses -> cost_model; with source_prompts and router -> assignments."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.route import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.model_costs,
                [
                    "calibration_responses",
                    "source_prompts",
                    "rewards",
                    "params:models",
                    "params:teachers",
                    "params:train_router",
                    "params:compare_routers",
                    "params:route",
                    "params:seed",
                    "routing_store",
                ],
                "cost_model",
                name="model_costs",
                does="Estimates from the calibration answers how many tokens each teacher needs "
                "for a prompt, and what they cost.",
            ),
            node(
                nodes.route_prompts,
                [
                    "source_prompts",
                    "router",
                    "params:models",
                    "params:teachers",
                    "params:route",
                    "params:generate",
                    "prompts",
                    "cost_model",
                    "calibration_responses",
                ],
                "assignments",
                name="route_prompts",
                does="Scores all teachers for every prompt in one pass, and sends the prompt to "
                "the best one, within limits if there are any.",
            ),
        ],
        namespace="route",
        prefix_datasets_with_namespace=False,
    )
