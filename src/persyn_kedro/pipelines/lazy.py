"""A pipeline that imports its nodes when it is first looked at, not when it is named."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline


class LazyPipeline(Pipeline):
    """Becomes the pipeline that ``create`` returns as soon as anything of it is read.

    So a list of the registry's names imports no node. All that a Kedro pipeline is lies in its
    instance's attributes, which are taken over.
    """

    def __init__(self, create: Callable[[], Pipeline]) -> None:
        self._create = create

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there: nothing is yet. (Copying asks for __deepcopy__ and such.)
        create = self.__dict__.pop("_create", None) if not name.startswith("__") else None
        if create is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        try:
            self.__dict__.update(vars(create()))
        except BaseException:
            self._create = create  # the next look says the same of what is broken
            raise
        return getattr(self, name)
