"""An engine in its child process, where it may stay loaded for a later call of the run."""

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.foundations.processes.kept import is_kept, run_kept


def generate_in_child(
    engine: Engine, requests: Iterable[Request], follows_schema: bool, label: str
) -> Generator[Generation, None, None]:
    """Yield the generations of ``engine.generate(requests)``, made by a child process.

    Args:
        follows_schema: whether replies follow a schema: vLLM is then started in another way.
    """
    yield from run_kept(
        _Resident,
        engine,
        key=_key(engine, follows_schema),
        label=label,
        feed=requests,
        env=engine.environment(engine.settings),
        size=engine.model.size if engine.loads_here else 0,
    )


def is_loaded(engine: Engine, follows_schema: bool) -> bool:
    """Return whether an earlier call left the engine's model loaded."""
    return is_kept(_key(engine, follows_schema))


def _key(engine: Engine, follows_schema: bool) -> tuple[Any, ...]:
    """Return what two engines have in common if one can answer in place of the other."""
    return type(engine), engine.model, engine.settings, engine.cluster, engine.name, follows_schema


class _Resident:
    """The engine as its process holds it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.load()

    def __call__(self, feed: Iterator[Request]) -> Iterator[Generation]:
        return self._engine.generate(feed)

    def rest(self) -> bool:
        return self._engine.rest()

    def close(self) -> None:
        self._engine.close()
