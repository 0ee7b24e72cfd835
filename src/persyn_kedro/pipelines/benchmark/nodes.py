"""Standard benchmarks of the student before and after training."""

from pathlib import Path
from typing import Any

from persyn_kedro.domain.benchmarks import (
    benchmark_job,
    check_harness,
    compare_benchmarks,
    environment,
)
from persyn_kedro.domain.reporting import benchmark_page, benchmarks_text
from persyn_kedro.domain.student import before_or_after
from persyn_kedro.foundations.processes import run_in_child
from persyn_kedro.foundations.settings import (
    BenchmarkSettings,
    EngineSettings,
    Models,
    Needs,
    StudentSettings,
    step,
)


@step(
    versions_of=(benchmark_job,),
    needs=Needs.HARNESS,
    check=check_harness,
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
    """Return the results of the student, or of the trained one in ``directory``, if given."""
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


@step(
    versions_of=(benchmark_page,),
    prints={benchmarks_text: ("benchmark_comparison",)},
    settings=("confidence",),
)
def compare(
    before: dict[str, Any], after: dict[str, Any], settings: BenchmarkSettings
) -> tuple[dict[str, Any], str]:
    """Return the results side by side, as metrics and as a page."""
    comparison = compare_benchmarks(before, after, settings.confidence)
    return comparison, benchmark_page(comparison)
