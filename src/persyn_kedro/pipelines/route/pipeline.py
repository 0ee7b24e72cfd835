"""calibration_responses -> cost_model; prompts -> focus; source_prompts, router -> assignments."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.route import focus, nodes


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
                "for a prompt.",
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
                    "focus",
                ],
                "assignments",
                name="route_prompts",
                does="Scores all teachers for every prompt in one pass, and sends the prompt to "
                "the best one, within limits if there are any.",
            ),
            node(
                focus.focus_prompts,
                [
                    "prompts",
                    "params:models",
                    "params:student",
                    "params:engine",
                    "params:route",
                    "params:rounds",
                    "params:seed",
                    "response_store",
                    "quality_store",
                ],
                "focus",
                name="focus_prompts",
                does="Finds the train prompts that are worth a teacher's answer, by how often the "
                "student itself is right; all of them by default.",
            ),
        ],
        namespace="route",
        prefix_datasets_with_namespace=False,
    )
