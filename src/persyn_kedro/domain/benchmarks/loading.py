"""Loading the harness's tasks and their data, for a benchmark run or for their questions alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings


def load_tasks(
    settings: BenchmarkSettings, own: Path, key: str = "benchmark.tasks"
) -> tuple[Any, dict[str, Any]]:
    """Return the harness's task manager, and every task by name once its data are available.

    Args:
        own: the directory of this project's tasks.
        key: which setting names the tasks, for messages.
    """
    paths = [str(own), *([settings.include_path] if settings.include_path else [])]
    manager = _manager(paths, settings.tasks)
    known = {*manager.all_tasks}
    for name in settings.tasks:
        if name not in known:
            raise PersynError(f"{key} names {name!r}, which the harness does not have.")
    tasks: dict[str, Any] = {}
    for name in settings.tasks:
        try:
            tasks |= manager.load([name])["tasks"]
        except Exception as error:  # from datasets, the hub or a task's own imports
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise PersynError(
                f"Benchmark task {name!r} could not be loaded (most tasks' data come from a hub): "
                f"{lines[0][:300]}"
            ) from error
    return manager, tasks


def _manager(paths: list[str], names: Sequence[str]) -> Any:
    """Return a manager that knows these tasks.

    The harness has thousands and reads them all, which takes most of a small benchmark's time. A
    task of one's own goes before the harness's of the same name, so they are read only for others.
    """
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_path=paths, include_defaults=False)
    return own if {*names} <= {*own.all_subtasks} else TaskManager(include_path=paths)
