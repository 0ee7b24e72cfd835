"""rewards -> router_scores -> router_comparison and its plots."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.compare_routers import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.cross_fit_routers,
                [
                    "calibration_set",
                    "rewards",
                    "params:models",
                    "params:teachers",
                    "params:train_router",
                    "params:compare_routers",
                    "params:seed",
                    "routing_store",
                ],
                "router_scores",
                name="cross_fit_routers",
            ),
            node(
                nodes.measure_routers,
                [
                    "router_scores",
                    "rewards",
                    "params:teachers",
                    "params:compare_routers",
                    "params:seed",
                ],
                "router_comparison",
                name="measure_routers",
            ),
            node(
                nodes.draw_router_plots,
                "router_comparison",
                ["router_calibration_plot", "router_learning_curve"],
                name="draw_router_plots",
            ),
        ],
        namespace="compare_routers",
        prefix_datasets_with_namespace=False,
    )
