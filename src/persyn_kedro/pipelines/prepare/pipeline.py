"""The source of the prompts -> source_prompts -> prompts, each with its split and part."""

from kedro.pipeline import Pipeline

from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.prepare import nodes


def create_pipeline() -> Pipeline:
    """Return the step."""
    return Pipeline(
        [
            node(
                nodes.read_prompts,
                ["params:prepare", "params:seed"],
                "source_prompts",
                name="read_prompts",
                does="Reads the prompts from a file, a hub or task generators, checks each row "
                "and removes duplicates.",
            ),
            node(
                nodes.split_prompts,
                ["source_prompts", "params:prepare", "params:seed"],
                "prompts",
                name="split_prompts",
                does="Assigns each prompt, by a hash of its text, to calibration, train or test, "
                "and to a part of it.",
            ),
        ],
        namespace="prepare",
        prefix_datasets_with_namespace=False,
    )
