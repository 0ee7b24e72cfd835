"""prompts, router -> assignments."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.route import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.route_prompts,
                ["prompts", "router", "params:models", "params:teachers", "params:route"],
                "assignments",
                name="route_prompts",
            )
        ],
        namespace="route",
        prefix_datasets_with_namespace=False,
    )
