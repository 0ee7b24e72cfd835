"""student -> benchmark_before, benchmark_after -> benchmark_comparison and its page."""

from kedro.pipeline import Pipeline, node

from persyn_kedro.pipelines.benchmark import nodes

_HOW = ["params:models", "params:student", "params:engine", "params:benchmark", "params:seed"]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(nodes.benchmark, _HOW, "benchmark_before", name="benchmark_before"),
            node(
                nodes.benchmark,
                [*_HOW, "student"],
                "benchmark_after",
                name="benchmark_after",
            ),
            node(
                nodes.compare,
                ["benchmark_before", "benchmark_after", "params:benchmark"],
                ["benchmark_comparison", "benchmark_page"],
                name="compare_benchmarks",
            ),
        ],
        namespace="benchmark",
        prefix_datasets_with_namespace=False,
    )
