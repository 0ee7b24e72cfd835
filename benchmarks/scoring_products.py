"""Processor time of scoring with products in float32 and in bfloat16, and where it goes.

    .venv/bin/python benchmarks/scoring_products.py [--profile]

For a processor without instructions for bfloat16, and a busy one: processor time, not the clock's.
"""

import time

import measuring
import scoring


def main() -> None:
    """Time the ways in turn, in one process; the first turn is a warm-up."""
    args = measuring.arguments(
        __doc__,
        repeats=1,
        prompts={"type": int, "default": 1},
        longest={"type": int, "default": 40, "help": "words of a response"},
        profile={"action": "store_true", "help": "of ours alone, by torch.profiler"},
    )
    made = scoring.requests(args.prompts, args.longest)
    from persyn_kedro.domain.learnability import statistics

    ways = {
        "one by one, bfloat16": scoring.batched(made, "bfloat16", 1),
        scoring.EXACT: scoring.batched(made, "float32", 1),
    }
    student, replace = scoring._student("bfloat16"), statistics.products_in_float32
    for name, used in (("ours", replace), ("ours, products in bfloat16", lambda _: None)):
        statistics.products_in_float32 = used
        score = statistics.student_scorer(student, None, "bfloat16")
        ways[name] = lambda score=score: [r["sum_logp"] / r["tokens"] for r in score(made)]
    if args.profile:
        return _profile(ways["ours"])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results = {}
    for turn in range(args.repeats + 1):
        for name, way in ways.items():
            start = time.process_time()
            results[name] = way()
            if turn:
                seconds[name].append(time.process_time() - start)
    off: dict[str, float] = {}
    exact = results[scoring.EXACT]
    for name, found in results.items():
        off[name] = sum(abs(a - b) for a, b in zip(found, exact, strict=True)) / len(exact)
    rows = measuring.compared(seconds, "one by one, bfloat16")
    for row in rows:
        row["off float32, nats per token"] = off[row["way"]]
    measuring.report("scoring_products", rows)


def _profile(way) -> None:  # type: ignore[no-untyped-def]
    from torch.profiler import ProfilerActivity, profile

    way()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        way()
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))


if __name__ == "__main__":
    main()
