"""Seconds of generation and scoring on a Ray cluster of this machine, against those without Ray.

    .venv/bin/python benchmarks/ray_overhead.py                     # transformers and scoring
    .venv/bin/python benchmarks/ray_overhead.py --work vllm [--threads 1 | --apart]

The clock runs from the first block of results to the last, so it counts the work of a process
whose model is loaded. Start-up, from the call to the first block minus the mean of a later one, is
reported separately: it happens once per model and step. Both have the same prompts, model, blocks,
threads and priority; one actor against one child process; both through the pipeline's own entry
points (``make_sure`` with its store on disk, ``spread``). Results must be equal before anything
counts; for vLLM, where batching affects bfloat16 by rounding, half of the texts.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import measuring

Timed = tuple[float, float, dict[str, Any]]  # start-up, seconds once started, results by key


def timed(blocks: Iterable[dict[str, Any]], first: int, total: int) -> Timed:
    """Return start-up and the seconds from the first block to the last.

    Args:
        blocks: results by key, in pieces that arrive as they are finished.
        first: number of items in the first block.
        total: number of all items.
    """
    begin, at_first, results = time.perf_counter(), 0.0, dict[str, Any]()
    for block in blocks:
        results |= block
        if not at_first and len(results) >= first:
            at_first = time.perf_counter()
    end = time.perf_counter()
    if len(results) != total:
        raise SystemExit(f"{len(results)} results of {total}")
    later = end - at_first
    return at_first - begin - later * first / (total - first), later, results


def scored(made: list[Any], block: int) -> Timed:
    """Score (key, prompt, response) with SmolLM2, in blocks, where the cluster settings say."""
    from persyn_kedro.domain.learnability.statistics import student_scorer
    from persyn_kedro.foundations.processes.map_blocks import spread

    blocks = spread(student_scorer, _model(), None, items=made, block=block, label="scoring")
    rows = ({row["response_key"]: row["sum_logp"] for row in found} for _, found in blocks)
    return timed(rows, block, len(made))


def generated(engine: dict[str, Any], count: int, tokens: int) -> Timed:
    """Let SmolLM2 answer ``count`` prompts through ``make_sure``, with its own store."""
    from router_training import prompts

    from persyn_kedro.domain.stores.tables import ResponseStore
    from persyn_kedro.domain.teachers import make_sure, resolve_recipes
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.settings.engine import EngineSettings
    from persyn_kedro.foundations.settings.models import Models
    from persyn_kedro.foundations.settings.teachers import Teachers

    chunks: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    class Store(ResponseStore):
        def append(self, shelf: str, rows: list[dict[str, Any]]) -> None:
            super().append(shelf, rows)
            chunks.put({row["response_key"]: row["response"] for row in rows})

    models = Models.model_validate({"smollm2": {"zoo": "smollm2"}})
    teacher = {"model": "smollm2", "sampling": {"max_new_tokens": tokens}}
    pool = Teachers.model_validate({"t": teacher, "other": {**teacher, "system": "Be brief."}})
    recipe, _ = resolve_recipes(pool, models)
    # By length: an engine that batches by length then makes the same batches of all and of a chunk.
    lengths = load_tokenizer(recipe.model)
    texts = sorted(prompts(count), key=lambda text: len(lengths(text).input_ids))
    wanted = {"t": [(f"p{i}", text) for i, text in enumerate(texts)]}
    settings = EngineSettings.model_validate({"max_model_len": 512, **engine})
    with tempfile.TemporaryDirectory() as directory:
        with ThreadPoolExecutor(1) as thread:
            asking = thread.submit(
                make_sure, wanted, [recipe], Store(Path(directory)), settings, seed=1
            )
            asking.add_done_callback(lambda _: chunks.put(None))
            answers = timed(iter(chunks.get, None), settings.chunk_size, count)
            asking.result()
            return answers


def _model() -> Any:
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings

    return resolve_model("smollm2", ModelSettings(zoo="smollm2"))


def work_of(name: str, blocks: int) -> tuple[Callable[[], Timed], Callable[[], Timed], int]:
    """Return the work without and with Ray, and the number of items that both time."""
    if name == "scoring":
        from scoring import requests

        block = 32
        made = requests(8 * (blocks + 1))  # of four teachers
        return partial(scored, made, block), partial(scored, made, block), block * blocks
    size = 16
    engine = {"name": name, "chunk_size": size, "batch_size": size, "max_num_seqs": size}
    on_ray = {**engine, "name": "ray", "inside": name}
    count = size * (blocks + 1)
    tokens = 32
    return (
        partial(generated, engine, count, tokens),
        partial(generated, on_ray, count, tokens),
        count - size,
    )


def compare(name: str, blocks: int, repeats: int, on_cluster: Any) -> list[dict[str, Any]]:
    """Return the rows of one kind of work; the first turn is not counted."""
    from persyn_kedro.foundations.processes import target as cluster

    local, ray, items = work_of(name, blocks)
    later: dict[str, list[float]] = {"local": [], "ray": []}
    starts: dict[str, list[float]] = {"local": [], "ray": []}
    for turn in range(repeats + 1):
        found = {}
        for way, work in {"local": local, "ray": ray}.items():
            settings = on_cluster if way == "ray" else cluster.ClusterSettings()
            with cluster.using(settings):
                start, seconds, found[way] = work()
            if turn:
                later[way].append(seconds)
                starts[way].append(start)
        keys = found["local"].keys()
        equal = sum(found["local"][key] == found["ray"][key] for key in keys) / len(keys)
        if equal < (0.5 if name == "vllm" else 1):
            raise SystemExit(f"{name}: {equal:.0%} of the results are equal")
    rows = measuring.compared(later, "local", items, "items/s")
    for row in rows:
        row["start-up, s"] = statistics.median(starts[row["way"]])
        row["equal"] = f"{equal:.0%}"
    return [{"work": name, **row} for row in rows]


def run_apart() -> None:
    """Let the local vLLM run its engine in a separate process too, as it always does in Ray."""
    from persyn_kedro.domain.engines.vllm import VllmEngine

    usual = VllmEngine.environment
    more = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    VllmEngine.environment = lambda settings: {**usual(settings), **more}


def main() -> None:
    """Compare each kind of work, on a cluster that is started once."""
    args = measuring.arguments(
        __doc__,
        work={"nargs": "+", "default": ["transformers", "scoring"]},
        blocks={"type": int, "default": 5, "help": "number of timed blocks, after the first"},
        threads={"type": int, "default": os.cpu_count(), "help": "threads of both ways"},
        apart={"action": "store_true", "help": "run vLLM's engine in a separate process in both"},
    )
    if args.apart:
        run_apart()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    # Ray's workers yield to everything else on the machine (15 by default), a child process does
    # not.
    os.environ["RAY_worker_niceness"] = "0"
    from persyn_kedro.foundations.processes.ray.cluster import reachable
    from persyn_kedro.foundations.settings.cluster import ClusterSettings

    variables = {"OMP_NUM_THREADS": str(args.threads)}
    settings = ClusterSettings(
        address="local", cpus=args.threads, runtime_env={"env_vars": variables}
    )
    begin = time.perf_counter()
    on_cluster = reachable(settings)
    cluster_seconds = time.perf_counter() - begin
    facts = {"seconds to start the cluster": cluster_seconds, "threads": args.threads}
    for name in args.work:
        rows = compare(name, args.blocks, args.repeats, on_cluster)
        measuring.report(f"ray_overhead_{name}", rows, **facts)


if __name__ == "__main__":
    main()
