"""Tokens per second of generation through our engine, store and chunking, against raw vLLM.

    .venv/bin/python benchmarks/generation.py

``vllm.LLM.generate`` gets the same prompts, ids and sampling settings at once. Both texts must be
equal before anything is timed. Engine start-up is excluded from both: it happens once per model and
run (benchmarks/conversion.py times it). Ours runs in this process too, so the figure excludes the
pipe from the child process through which answers arrive in a run.
"""

import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
from router_training import prompts

TOKENS = 96
T_975 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}  # by repeats


def _asked(count: int) -> tuple[list[tuple[str, str]], Any, Any]:
    """Return (prompt_id, prompt) pairs, the teacher's recipe, and the engine's settings."""
    from persyn_kedro.domain.teachers.recipe import resolve_recipes
    from persyn_kedro.foundations.settings.engine import EngineSettings
    from persyn_kedro.foundations.settings.models import Models
    from persyn_kedro.foundations.settings.teachers import Teachers

    models = Models.model_validate({"smollm2": {"zoo": "smollm2"}})
    sampling = {"max_new_tokens": TOKENS, "temperature": 0.7}
    teacher = {"model": "smollm2", "sampling": sampling}
    teachers = Teachers.model_validate({"t": teacher, "other": {**teacher, "system": "Be brief."}})
    recipe, _ = resolve_recipes(teachers, models)
    return (
        [(f"p{i}", text) for i, text in enumerate(prompts(count))],
        recipe,
        EngineSettings(
            max_model_len=1024,
            max_num_seqs=64,
            gpu_memory_utilization=0.4,  # two engines share it
        ),
    )


def _started(recipe: Any, engine: Any) -> Any:
    import os

    from persyn_kedro.domain.engines import vllm as vllm_engine

    os.environ.update(vllm_engine.VllmEngine.environment(engine))
    return vllm_engine._start(recipe.model, engine, 1024)


def ours(count: int) -> tuple[Callable, Callable]:
    """Our full path: admission, engine loop, decoding, rows, chunks, the store on disk."""
    from persyn_kedro.domain.engines import vllm as vllm_engine
    from persyn_kedro.domain.engines.turns import Turns
    from persyn_kedro.domain.stores.tables import ResponseStore
    from persyn_kedro.domain.teachers import make_sure

    pairs, recipe, engine = _asked(count)
    running = _started(recipe, engine)
    turns = Turns.of(recipe.model, engine)
    Turns.of = lambda *_: turns  # part of the engine's start, as for raw vLLM
    running.engine_core.shutdown = lambda: None  # kept for the next turn
    vllm_engine._start = lambda *_: running
    vllm_engine.VllmEngine.in_child = False
    stores: list[Any] = []

    def prepare() -> None:
        stores[:] = [ResponseStore(Path(tempfile.mkdtemp()))]

    def work() -> dict[str, str]:
        make_sure({"t": pairs}, [recipe], stores[0], engine, 1)
        rows = stores[0].read(recipe.shelf, ["response_key", "response"]).to_pylist()
        return {row["response_key"]: row["response"] for row in rows}

    return prepare, work


def raw(count: int) -> Callable[[], dict[str, str]]:
    """``LLM.generate`` on the prepared ids and sampling parameters, one decode per response."""
    import os

    from persyn_kedro.domain.engines import Request, Turns, vllm as vllm_engine
    from persyn_kedro.foundations.hashing import seed_for

    pairs, recipe, settings = _asked(count)
    os.environ.update(vllm_engine.VllmEngine.environment(settings))
    import vllm

    made: list[Any] = []

    class Kept(vllm.LLM):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    vllm.LLM = Kept
    _started(recipe, settings)
    turns = Turns.of(recipe.model, settings)
    prepared_all, parameters = [], []
    for prompt_id, text in pairs:
        key = recipe.response_key(prompt_id)
        seed = seed_for(1, "response", key)
        prepared = turns.prepare(Request(key, text, None, recipe.sampling, seed))
        prepared_all.append(prepared)
        arguments = vllm_engine.sampling_arguments(prepared, turns.stop_ids)
        parameters.append(vllm.SamplingParams(**arguments))
    prompt_ids = [{"prompt_token_ids": prepared.prompt_ids} for prepared in prepared_all]

    def work() -> dict[str, str]:
        outputs = made[0].generate(prompt_ids, parameters, use_tqdm=False)
        ended = [
            turns.finish(prepared, list(output.outputs[0].token_ids))
            for prepared, output in zip(prepared_all, outputs, strict=True)
        ]
        return {generation.key: generation.response for generation in ended}

    return work


def check(results: dict[str, dict[str, str]]) -> None:
    """Raise unless both ways give the same texts."""
    ours_, theirs = results["ours"], results["raw vLLM"]
    differ = [key for key, text in theirs.items() if ours_[key].strip() != text.strip()]
    if differ:
        raise SystemExit(f"{len(differ)} of {len(theirs)} texts differ")


def main() -> None:
    """Time both, and report the lower 95 % bound of the mean ratio."""
    args = measuring.arguments(__doc__, repeats=8, prompts={"type": int, "default": 64})
    ways: dict[str, Any] = {"ours": (ours, (args.prompts,)), "raw vLLM": (raw, (args.prompts,))}
    seconds = measuring.alternate_processes(ways, args.repeats, check)
    rows = measuring.compared(seconds, "raw vLLM", args.prompts, "prompts/s")
    logs = [math.log(b / a) for a, b in zip(seconds["ours"], seconds["raw vLLM"], strict=True)]
    error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    low = math.exp(statistics.mean(logs) - T_975.get(len(logs), 2.0) * error)
    measuring.report("generation", rows, **{"lower 95 % bound of the ratio": low})


if __name__ == "__main__":
    main()
