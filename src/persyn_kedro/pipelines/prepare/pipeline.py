"""prompts source -> prompts, splits."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.prepare import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.read_prompts,
                ["params:prepare", "params:seed"],
                "prompts",
                name="read_prompts",
            ),
            node(
                nodes.split_prompts,
                ["prompts", "params:prepare", "params:seed"],
                "splits",
                name="split_prompts",
            ),
        ],
        namespace="prepare",
        prefix_datasets_with_namespace=False,
    )
