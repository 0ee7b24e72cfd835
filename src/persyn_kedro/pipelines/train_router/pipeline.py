"""rewards -> router, router_metrics."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.train_router import nodes

_EXAMPLES = [
    "prompts",
    "splits",
    "rewards",
    "params:models",
    "params:teachers",
    "params:train_router",
]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.fit_router,
                [*_EXAMPLES, "params:seed", "router_workspace"],
                ["router", "router_training_curve"],
                name="fit_router",
            ),
            node(
                nodes.measure_router,
                ["router", *_EXAMPLES],
                "router_metrics",
                name="measure_router",
            ),
        ],
        namespace="train_router",
        prefix_datasets_with_namespace=False,
    )
