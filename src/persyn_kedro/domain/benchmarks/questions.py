"""What the harness's tasks ask, to keep it out of the prompts that are trained on."""

import logging
from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

from persyn_kedro.domain.benchmarks.bars import tell_bars
from persyn_kedro.domain.benchmarks.loading import load_tasks
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings


def benchmark_questions(name: str, include_path: str | None) -> Iterator[tuple[str, int, str]]:
    """Yield task, number from 1 and text of each test item of a task, or of a group's tasks.

    The text is the one that the task itself declares for decontamination, else what it asks. For
    another process: the harness imports much.

    Raises:
        PersynError: the task does not exist, has no items, or its data cannot be loaded.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tell_bars()
    settings = BenchmarkSettings(tasks=[name], include_path=include_path)
    with as_file(files(__package__) / "tasks") as own:
        _, tasks = load_tasks(settings, own, "prepare.against")
        for task_name, task in sorted(tasks.items()):
            number = 0
            for number, item in enumerate(task.eval_docs, start=1):
                yield task_name, number, _question(task, item)
            if not number:
                raise PersynError(f"Benchmark task {task_name!r} has no test items.")


def _question(task: Any, item: dict[str, Any]) -> str:
    found = task.doc_to_decontamination_query(item) if task.should_decontaminate() else None
    found = task.doc_to_text(item) if not isinstance(found, str) else found
    if isinstance(found, str):
        return found
    # Some tasks ask only with their choices: doc_to_text is then the number of one.
    return " ".join(str(value) for value in item.values() if isinstance(value, str))
