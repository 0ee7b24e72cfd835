"""Seconds to load a model whose files are on disk alone, and after `read_ahead` has read them.

    .venv/bin/python benchmarks/loading.py --models qwen2.5-coder-0.5b qwen2.5-coder-1.5b

Before each turn the files are dropped from the page cache (posix_fadvise), as they are when a pool
is larger than the memory. A run reads ahead while another model answers, so that time is not
counted; on a machine whose disk is as fast as its memory nothing is gained.
"""

import os
import time
from pathlib import Path
from typing import Any

import measuring


def drop(directory: Path) -> None:
    """Drop a model's files from the page cache."""
    for path in sorted(directory.glob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def loading(name: str, ahead: bool) -> tuple[Any, Any]:
    """Return what prepares a turn, and what loads the model and touches all of its weights."""
    from persyn_kedro.foundations.models.load import load_causal_lm
    from persyn_kedro.foundations.models.read_ahead import read_ahead
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings

    model = resolve_model(name, ModelSettings(zoo=name))  # type: ignore[arg-type]

    def prepare() -> None:
        drop(model.directory)
        if ahead and (thread := read_ahead(model.directory)) is not None:
            thread.join()

    def work() -> float:
        loaded = load_causal_lm(model, "bfloat16")
        return float(sum(p.view(-1)[:: 2**11].float().sum() for p in loaded.parameters()))

    return prepare, work


def check(results: dict[str, float]) -> None:
    """Raise unless both ways loaded the same weights."""
    if len(set(results.values())) != 1:
        raise SystemExit(f"different weights: {results}")


def main() -> None:
    """Compare both for each model."""
    options = measuring.arguments(
        __doc__, models={"nargs": "+", "default": ["smollm2", "qwen2.5-coder-0.5b"]}
    )
    rows = []
    for name in options.models:
        ways: dict[str, Any] = {
            f"{name}, from disk": (loading, (name, False)),
            f"{name}, read ahead": (loading, (name, True)),
        }
        started = time.perf_counter()
        seconds = measuring.alternate_processes(ways, options.repeats, check)
        rows += measuring.compared(seconds, f"{name}, from disk")
        print(f"{name}: {time.perf_counter() - started:.0f} s")
    measuring.report("loading", rows)


if __name__ == "__main__":
    main()
