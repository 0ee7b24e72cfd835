"""For how long a run's models stay loaded."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kedro.pipeline.node import Node

from persyn_kedro.foundations.processes import keep_models
from persyn_kedro.foundations.settings import Needs, Settings
from persyn_kedro.runs.records import needs_of

# What a model that is still loaded may be for.
_ASKS = Needs.TEACHERS | Needs.STUDENT | Needs.JUDGE | Needs.MODEL


@contextmanager
def models_kept(nodes: Sequence[Node], settings: Settings) -> Iterator[Callable[[Node], None]]:
    """Let models stay loaded while a step that may need them runs or is still to come.

    A step that trains a student gets all the memory: nothing stays loaded for it, or in it.

    Args:
        nodes: the run's, in order.

    Yields:
        What is to be called before each node that runs.
    """

    def begin(node: Node) -> None:
        trains = bool(Needs.TRAINER & needs_of([node], settings))
        later = needs_of(nodes[nodes.index(node) :], settings)
        keep_models(settings.engine.keep_loaded and not trains and bool(_ASKS & later))

    try:
        yield begin
    finally:
        keep_models(False)
