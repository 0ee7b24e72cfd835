"""source_prompts, router -> assignments."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.route import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.route_prompts,
                [
                    "source_prompts",
                    "router",
                    "params:models",
                    "params:teachers",
                    "params:route",
                ],
                "assignments",
                name="route_prompts",
                does="Scores all teachers for every prompt in one pass, and sends the prompt to "
                "the best one.",
            )
        ],
        namespace="route",
        prefix_datasets_with_namespace=False,
    )
