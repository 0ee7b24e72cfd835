"""prompts, stores -> plan."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.plan import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.plan_run,
                [
                    "prompts",
                    "routed_before",
                    "focused_before",
                    "params:models",
                    "params:teachers",
                    "params:student",
                    "params:engine",
                    "params:generate",
                    "params:sft",
                    "params:evaluate",
                    "params:label",
                    "params:seed",
                    "params:route",
                    "params:rounds",
                    "dropped_prompts",
                    "params:prepare",
                    "response_store",
                ],
                ["plan", "plan_summary"],
                name="plan_run",
                does="Estimates the calls, tokens, cost and disk space that a run would take now; "
                "makes no calls.",
            )
        ],
        namespace="plan",
        prefix_datasets_with_namespace=False,
    )
