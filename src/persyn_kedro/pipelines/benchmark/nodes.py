"""Standard benchmarks of the student before and after."""

from pathlib import Path
from typing import Any

from persyn_kedro.domain.benchmarks.harness import benchmark_job, environment
from persyn_kedro.domain.benchmarks.summary import compare_benchmarks
from persyn_kedro.domain.reporting.page import benchmark_page
from persyn_kedro.domain.student.before_after import before_or_after
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings
from persyn_kedro.foundations.settings.marks import step
from persyn_kedro.foundations.settings.models import EngineSettings, Models, StudentSettings


@step(
    settings=(
        "tasks",
        "include_path",
        "num_fewshot",
        "limit",
        "chat_template",
        "backend",
        "max_length",
    ),
    engine=(),
)
def benchmark(
    models: Models,
    student: StudentSettings,
    engine: EngineSettings,
    settings: BenchmarkSettings,
    seed: int,
    directory: Path | None = None,
) -> dict[str, Any]:
    """Return the student's results, trained if ``directory`` is given."""
    model = before_or_after(models, student, directory)
    results = run_in_child(
        benchmark_job,
        model,
        student.system,
        settings,
        engine,
        seed,
        label=f"benchmarks of {model.name}",
        env=environment(engine, settings.backend),
    )
    (found,) = list(results)
    return found


@step(settings=("confidence",))
def compare(
    before: dict[str, Any], after: dict[str, Any], settings: BenchmarkSettings
) -> tuple[dict[str, Any], str]:
    """Return the results side by side, and as a page."""
    comparison = compare_benchmarks(before, after, settings.confidence)
    return comparison, benchmark_page(comparison)
