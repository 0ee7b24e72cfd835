"""Public benchmarks by lm-evaluation-harness, before and after."""

from .harness import (
    benchmark_job as benchmark_job,
    check_harness as check_harness,
    environment as environment,
)
from .questions import benchmark_questions as benchmark_questions
from .summary import compare_benchmarks as compare_benchmarks
