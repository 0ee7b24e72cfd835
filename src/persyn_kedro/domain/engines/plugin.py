"""The user's own engine: ``file.py:name``, a function of requests, model and settings."""

from collections.abc import Callable, Generator, Iterable, Iterator

from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.foundations.settings.plugins import load_function


class PluginEngine(Engine):
    """Calls the function that ``settings.name`` names, in the model's process."""

    def set_up(self) -> None:
        """Raise a PersynError if the function is missing or does not take three arguments."""
        self._function()

    def generate(self, requests: Iterable[Request]) -> Generator[Generation, None, None]:
        """Yield what the function yields."""
        yield from self._function()(requests, self.model, self.settings)

    def _function(self) -> Callable[..., Iterator[Generation]]:
        return load_function(self.settings.name, "requests", "model", "engine")
