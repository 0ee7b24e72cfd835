"""A pipeline that imports its nodes when it is first used, not when it is registered."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline


class LazyPipeline(Pipeline):
    """Becomes the pipeline that ``create`` returns as soon as any of its attributes is read.

    Listing the registry's names therefore imports no node. A Kedro pipeline consists of its
    instance's attributes, which are copied here.
    """

    def __init__(self, create: Callable[[], Pipeline]) -> None:
        self._create = create

    def __getattr__(self, name: str) -> Any:
        # Called for missing attributes: at first, all. (Copying looks up __deepcopy__ and such.)
        create = self.__dict__.pop("_create", None) if not name.startswith("__") else None
        if create is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        try:
            self.__dict__.update(vars(create()))
        except BaseException:
            self._create = create  # the next use raises the same error
            raise
        return getattr(self, name)
