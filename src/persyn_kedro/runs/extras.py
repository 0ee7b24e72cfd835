"""Are the extras installed that the steps need with these settings? Asked before the first step."""

from collections.abc import Iterable, Iterator

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.models import source_of
from persyn_kedro.foundations.settings import Needs, PrepareSettings, Settings
from persyn_kedro.runs.fingerprints import checks_answers
from persyn_kedro.runs.records import handed_groups, models_of, needs_of


def check_extras(pipeline: Pipeline, settings: Settings) -> None:
    """Refuse a run for which an extra is missing.

    Raises:
        PersynError: one sentence for all that is missing.
    """
    need("This run", *dict.fromkeys(_wanted(pipeline, settings)))


def _wanted(pipeline: Pipeline, settings: Settings) -> Iterator[str]:
    if Needs.DRAWINGS in needs_of(pipeline.nodes, settings):
        yield "report"
    for node in pipeline.nodes:
        yield from _of_step(node, handed_groups(node, settings))
    for model in models_of(pipeline, settings).values():
        source = source_of(model)  # a model of the zoo may be the hub's own
        if source.zoo or source.gguf:
            yield "gguf"
        if model.endpoint and model.endpoint.batch:
            yield "batch"


def _of_step(node: Node, groups: Iterable[object]) -> Iterator[str]:
    groups = list(groups)
    if checks_answers(node.func, groups):
        yield "answers"
    for group in groups:
        if isinstance(group, PrepareSettings):
            if any(source.tasks for source in group.all_sources):
                yield "answers"
            if group.near_duplicates or group.language.keep:
                yield "clean"
