"""rewards -> router, router_metrics."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.train_router import nodes

_EXAMPLES = ["prompts", "rewards", "params:models", "params:teachers", "params:train_router"]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.fit_router,
                [*_EXAMPLES, "params:seed", "router_workspace"],
                ["router", "router_training_curve"],
                name="fit_router",
                does="Trains the router to predict, from a prompt alone, which teacher's answer "
                "has the best reward.",
            ),
            node(
                nodes.measure_router,
                [
                    "router",
                    *_EXAMPLES,
                    "calibration_responses",
                    "params:seed",
                    "routing_store",
                ],
                "router_metrics",
                name="measure_router",
                does="Measures the router on calibration prompts that it was not trained on, "
                "against a constant and a random choice; says whether more of them would pay.",
            ),
        ],
        namespace="train_router",
        prefix_datasets_with_namespace=False,
    )
