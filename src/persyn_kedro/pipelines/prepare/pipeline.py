"""The source of the prompts -> source_prompts -> dropped_prompts, and prompts with their splits."""

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
                ["source_prompts", "repeated_prompts"],
                name="read_prompts",
                does="Reads the prompts from a file, a hub or task generators, checks each row "
                "and removes duplicates.",
            ),
            node(
                nodes.screen_prompts,
                ["source_prompts", "repeated_prompts", "params:prepare", "params:seed"],
                "dropped_prompts",
                name="screen_prompts",
                does="Finds the prompts to drop: near-duplicates, overlaps with test sets, "
                "other languages or lengths; says what each one matches.",
            ),
            node(
                nodes.split_prompts,
                ["source_prompts", "dropped_prompts", "params:prepare", "params:seed"],
                "prompts",
                name="split_prompts",
                does="Assigns each prompt that is not dropped, by a hash of its text, to "
                "calibration, train or test, and to a part of it.",
            ),
        ],
        namespace="prepare",
        prefix_datasets_with_namespace=False,
    )
