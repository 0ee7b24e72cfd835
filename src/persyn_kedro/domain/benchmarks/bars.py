"""The harness's progress bars, shown as our progress line."""

import os
from typing import Any

from persyn_kedro.foundations.progress import watching


def tell_bars() -> None:
    """Redirect every tqdm bar in this process, a child, to our progress line.

    None is disabled: vLLM divides by the elapsed time, which a disabled bar does not track. (tqdm
    reads ``TQDM_DISABLE`` when it is imported, which may have been ahead of this process.)
    """
    from tqdm.std import tqdm

    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - stays open
    plain = {name: getattr(tqdm, name) for name in ("__init__", "display", "close")}

    def begin(bar: Any, *args: Any, **options: Any) -> None:
        bar.watch = None
        plain["__init__"](bar, *args, **{**options, "file": nowhere, "disable": False})

    def display(bar: Any, *args: Any, **options: Any) -> None:
        if bar.watch is None:
            bar.watching = watching(bar.desc.strip(": ") or "benchmarks", bar.total, "requests")
            bar.watch, bar.told = bar.watching.__enter__(), 0
        bar.watch.advance(bar.n - bar.told)
        bar.told = bar.n

    def close(bar: Any) -> None:
        plain["close"](bar)  # which displays it one last time
        if bar.watch is not None:
            bar.watching.__exit__(None, None, None)
            bar.watch = None

    tqdm.__init__, tqdm.display, tqdm.close = begin, display, close
