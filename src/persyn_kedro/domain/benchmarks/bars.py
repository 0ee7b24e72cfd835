"""The harness's own progress bars, told as our progress line."""

import os
from typing import Any

from persyn_kedro.foundations.progress import watching


def tell_bars() -> None:
    """Have every bar of tqdm in this process, a child, draw on nothing and be told instead.

    They are not disabled: vLLM's divides by the time that a disabled one does not measure.
    """
    from tqdm.std import tqdm

    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    plain = {name: getattr(tqdm, name) for name in ("__init__", "display", "close")}

    def begin(bar: Any, *args: Any, **options: Any) -> None:
        bar.watch = None
        plain["__init__"](bar, *args, **{**options, "file": nowhere})

    def display(bar: Any, *args: Any, **options: Any) -> None:
        if bar.watch is None:
            bar.watching = watching(bar.desc.strip(": ") or "benchmarks", bar.total, "requests")
            bar.watch, bar.told = bar.watching.__enter__(), 0
        bar.watch.advance(bar.n - bar.told)
        bar.told = bar.n

    def close(bar: Any) -> None:
        plain["close"](bar)  # which displays it once more
        if bar.watch is not None:
            bar.watching.__exit__(None, None, None)
            bar.watch = None

    tqdm.__init__, tqdm.display, tqdm.close = begin, display, close
