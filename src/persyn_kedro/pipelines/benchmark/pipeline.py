"""student -> benchmark_before, benchmark_after -> benchmark_comparison and its page."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.benchmark import nodes
from persyn_kedro.pipelines.described import node

_HOW = ["params:models", "params:student", "params:engine", "params:benchmark", "params:seed"]


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.benchmark,
                _HOW,
                "benchmark_before",
                name="benchmark_before",
                does="Runs public benchmarks on the student before it is trained.",
            ),
            node(
                nodes.benchmark,
                [*_HOW, "student"],
                "benchmark_after",
                name="benchmark_after",
                does="Runs the same benchmarks on the trained student.",
            ),
            node(
                nodes.compare,
                ["benchmark_before", "benchmark_after", "params:benchmark"],
                ["benchmark_comparison", "benchmark_page"],
                name="compare_benchmarks",
                does="Compares the benchmarks before and after training, as metrics and as a page.",
            ),
        ],
        namespace="benchmark",
        prefix_datasets_with_namespace=False,
    )
