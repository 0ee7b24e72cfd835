"""Seconds per prompt and peak memory of cleaning the prompts, as they grow.

    .venv/bin/python benchmarks/cleaning.py                          # 20K and 100K, minutes
    .venv/bin/python benchmarks/cleaning.py --sizes 20000 100000 1000000

Prompts of 60 words (about 400 characters): a third are near-duplicates of others, with one word
changed, and every hundredth contains a sentence of one of 10,000 test prompts. ``template``: all
prompts have four fifths of their words in common, so that most are compared with many others
without being near-duplicates. Each size has its own process. What is found is checked.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TESTS = 10_000
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def words(count: int, seed: int) -> list[str]:
    """Return random words of 3 to 9 letters."""
    random = np.random.default_rng(seed)
    return ["".join(random.choice(LETTERS, n)) for n in random.integers(3, 10, count)]


def texts(prompts: int, kind: str) -> Iterator[str]:
    """Yield the prompts."""
    known, shared = words(20_000, 0), words(48, 1)
    tests = list(test_texts())
    random = np.random.default_rng(2)
    before: list[str] = []
    for n in range(prompts):
        if kind == "template":
            own = [*shared, *(known[i] for i in random.integers(0, len(known), 12))]
        elif n % 3 == 2:
            own = [*before[:10], "changed", *before[11:]]
        else:
            own = [known[i] for i in random.integers(0, len(known), 60)]
        before = list(own)
        if n % 100 == 0:
            own[20:35] = tests[int(random.integers(TESTS))].split()[5:20]
        yield f"{n} " + " ".join(own)


def test_texts() -> Iterator[str]:
    """Yield the test prompts: 30 words each."""
    known, random = words(20_000, 3), np.random.default_rng(4)
    for _ in range(TESTS):
        yield " ".join(known[i] for i in random.integers(0, len(known), 30))


def write(directory: Path, prompts: int, kind: str) -> None:
    """Write source_prompts and the test set."""
    import pyarrow.parquet as pq

    from persyn_kedro.domain.prompts import prepare_prompts
    from persyn_kedro.foundations.tables import SOURCE_PROMPTS

    row = {"reference": None, "source": "p.jsonl", "metadata": None}
    with pq.ParquetWriter(directory / "prompts.parquet", SOURCE_PROMPTS) as writer:
        for batch in prepare_prompts({**row, "prompt": text} for text in texts(prompts, kind)):
            writer.write_batch(batch)
    lines = (json.dumps({"prompt": text}) for text in test_texts())
    (directory / "tests.jsonl").write_text("\n".join(lines))


def measure(directory: Path, languages: list[str]) -> dict[str, Any]:
    """Clean the prompts in this process; return time, memory and counts."""
    import pyarrow.dataset as pads

    from persyn_kedro.domain.cleaning import dropped_counts, screen_prompts
    from persyn_kedro.foundations.settings import PrepareSettings
    from persyn_kedro.foundations.tables.schemas import REPEATED_PROMPTS

    settings = PrepareSettings(
        source={"file": "p.jsonl"},
        near_duplicates={},
        against=[{"file": str(directory / "tests.jsonl")}],
        length={"max_words": 1000},
        language={"keep": languages, "certainty": 1.0},
    )
    prompts = pads.dataset(directory / "prompts.parquet")
    start, cpu = time.perf_counter(), time.process_time()
    dropped = screen_prompts(prompts, REPEATED_PROMPTS.empty_table(), settings, 7)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**20
    return {
        "seconds": seconds,
        "cpu": cpu,
        "us per prompt": 1e6 * cpu / prompts.count_rows(),
        "peak GiB": peak,
        **dropped_counts(dropped),
    }


def main() -> None:
    """Measure each size and kind of prompts in a fresh process."""
    sys.path.insert(0, str(Path(__file__).parent))
    from measuring import arguments, report

    options = arguments(
        __doc__,
        sizes={"type": int, "nargs": "+", "default": [20_000, 100_000]},
        kinds={"nargs": "+", "default": ["random", "template", "random, language"]},
        measure={"default": None, "help": "(internal) clean the prompts of this directory"},
    )
    if options.measure:
        languages = ["en"] if "language" in options.kinds[0] else []
        print(json.dumps(measure(Path(options.measure), languages)))
        return
    rows = []
    for kind in options.kinds:
        for prompts in options.sizes:
            with tempfile.TemporaryDirectory() as name:
                write(Path(name), prompts, kind.partition(",")[0])
                command = [sys.executable, __file__, "--measure", name, "--kinds", kind]
                run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            found = json.loads(run.stdout.splitlines()[-1])
            # Language is looked at first, and drops some of them.
            if kind != "random, language" and found["contaminated"] != -(-prompts // 100):
                raise SystemExit(f"{found['contaminated']} contaminated prompts of {prompts}")
            rows.append({"kind": kind, "prompts": prompts, **found})
            print(json.dumps(rows[-1]), flush=True)
    report("cleaning", rows)


if __name__ == "__main__":
    main()
