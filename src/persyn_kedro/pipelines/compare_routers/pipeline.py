"""rewards -> router_scores -> router_comparison and its plots."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.compare_routers import nodes
from persyn_kedro.pipelines.described import node


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.cross_fit_routers,
                [
                    "calibration_set",
                    "source_prompts",
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
                does="Scores every calibration prompt with routers of each kind and size that were "
                "not trained on it.",
            ),
            node(
                nodes.measure_routers,
                [
                    "router_scores",
                    "rewards",
                    "calibration_responses",
                    "params:models",
                    "params:teachers",
                    "params:train_router",
                    "params:compare_routers",
                    "params:seed",
                ],
                "router_comparison",
                name="measure_routers",
                does="Measures the compared routers: Hit@k, regret and AUC with intervals, "
                "learning curve, calibration, and whether more calibration prompts would pay.",
            ),
            node(
                nodes.draw_router_plots,
                "router_comparison",
                ["router_calibration_plot", "router_learning_curve"],
                name="draw_router_plots",
                does="Plots the routers' learning curve and the calibration of their predictions.",
            ),
        ],
        namespace="compare_routers",
        prefix_datasets_with_namespace=False,
    )
