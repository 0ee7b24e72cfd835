"""A user's first wait: GGUF to safetensors, and the engine's start; seconds and peak memory.

    .venv/bin/python benchmarks/conversion.py --models smollm2 qwen2.5-coder-0.5b

Conversion: tensor by tensor, as in this project, against Transformers loading the full model and
saving it. All files must be equal, byte for byte. Engine (with --engine, if vLLM is installed): in
this process without its own tokenizer, as the project starts it, against one with a tokenizer, and
against vLLM's engine in a separate process; all give the same greedy answers. Every turn is a new
process, including its start and imports, as a user waits for them.
"""

import hashlib
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from measuring import alternate, arguments, compared, report

from persyn_kedro.domain.engines import vllm as vllm_engine
from persyn_kedro.foundations.models.gguf.conversion import convert
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.models.zoo import ZOO, fetch_zoo_model
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings

PROMPTS = [f"Solve {i} + {i * 3}. Put the final answer in \\boxed{{}}." for i in range(4, 8)]
NEW_TOKENS = 16


def main() -> None:
    """Fetch the files, check that the ways agree, time them."""
    options = arguments(
        __doc__,
        models={"nargs": "+", "default": ["smollm2"], "choices": list(ZOO)},
        files={"type": Path, "help": "directory of <model>.gguf files; missing ones are fetched"},
        engine={"action": "store_true", "help": "also time the engine's start"},
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.models:
            path = (options.files or Path(scratch)) / f"{name}.gguf"
            if not path.exists():
                fetch_zoo_model(name, path.parent)
            new = time_conversion(name, path, Path(scratch) / name, options.repeats)
            if options.engine:
                time_engine(name, new, options.repeats)


def time_conversion(name: str, path: Path, scratch: Path, repeats: int) -> Path:
    """Report both ways of converting a file; return the directory that the project's way made."""
    targets = {"full model": scratch / "whole", "tensor by tensor": scratch / "streamed"}
    jobs = {"full model": convert_whole_model, "tensor by tensor": convert}
    used: dict[str, list[dict[str, float]]] = {way: [] for way in jobs}

    def turn(way: str) -> None:
        shutil.rmtree(targets[way], ignore_errors=True)
        targets[way].mkdir(parents=True)
        used[way] += run_in_child(measured, jobs[way], path, targets[way], label=way)

    ways = {way: partial(turn, way) for way in jobs}
    seconds = alternate(ways, repeats, warm_up=repeats > 1)
    hashes = [file_hashes(target) for target in targets.values()]
    if hashes[0] != hashes[1]:
        raise SystemExit(f"{name}: the conversions differ: {hashes}")
    rows = with_use(compared(seconds, to="full model"), used)
    report(f"conversion_{name}", rows, files_identical=", ".join(hashes[0]))
    return targets["tensor by tensor"]


def measured(job: Callable[..., Iterator[None]], path: Path, target: Path) -> Iterator[dict]:
    """Do the job in this process; yield what it used."""
    for _ in job(path, target):
        pass
    yield usage()


def usage() -> dict[str, float]:
    """Return the processor seconds and the peak memory of this process and its children."""
    own, children = (
        resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])
    cpu = sum(use.ru_utime + use.ru_stime for use in (own, children))
    return {"cpu_seconds": cpu, "peak_gib": (peak + children.ru_maxrss) / 2**20}


def with_use(rows: list[dict], used: dict[str, list[dict[str, float]]]) -> list[dict]:
    """Add each way's median use, and its share of the first way's."""
    for row in rows:
        row |= {
            key: median(u[key] for u in used[row["way"]]) for key in ("cpu_seconds", "peak_gib")
        }
    for row in rows:
        row["cpu share"] = row["cpu_seconds"] / rows[0]["cpu_seconds"]
        row["memory share"] = row["peak_gib"] / rows[0]["peak_gib"]
    return rows


def convert_whole_model(path: Path, directory: Path) -> Iterator[None]:
    """Convert as Transformers does, the project's earlier way."""
    from functools import lru_cache

    import gguf
    from transformers import AutoTokenizer

    from persyn_kedro.foundations.models.gguf.conversion import adds_bos, convert_whole

    gguf.GGUFReader = lru_cache(maxsize=1)(gguf.GGUFReader)  # type: ignore[misc, assignment]
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    convert_whole(path, directory)
    if adds_bos(path) and tokenizer.bos_token is not None:
        tokenizer.add_bos_token = True
    tokenizer.save_pretrained(directory)
    yield from ()


def file_hashes(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by name."""
    hashes = {}
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def time_engine(name: str, directory: Path, repeats: int) -> None:
    """Report the ways of starting vLLM, from a new process to the first answers."""
    model = ResolvedModel(name, directory, name, ModelSettings(zoo=name))
    settings = EngineSettings(name="vllm", max_model_len=1024, cpu_kv_cache_gib=1)
    apart = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with_tokenizer = {"skip_tokenizer_init": False, "tokenizer": str(directory)}
    ways: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "process of its own": (with_tokenizer, apart),
        "in process, own tokenizer": (with_tokenizer, {}),
        "in process": ({}, {}),
    }
    used: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    answers: dict[str, Any] = {}

    def turn(way: str) -> None:
        more, variables = ways[way]
        env = {**vllm_engine.VllmEngine.environment(settings), **variables}
        work = run_in_child(start_and_answer, model, settings, more, label=way, env=env)
        answers[way], use = list(work)
        used[way].append(use)

    seconds = alternate({way: partial(turn, way) for way in ways}, repeats, warm_up=repeats > 1)
    if len({str(a) for a in answers.values()}) != 1:
        raise SystemExit(f"{name}: the engines' greedy answers differ: {answers}")
    rows = with_use(compared(seconds, to="process of its own"), used)
    report(f"engine_start_{name}", rows, answers_equal=len(PROMPTS))


def start_and_answer(
    model: ResolvedModel, settings: EngineSettings, more: dict[str, Any]
) -> Iterator[Any]:
    """Start vLLM, yield its greedy answers, then what it used."""
    import logging
    import warnings

    logging.getLogger("vllm").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", FutureWarning)
    from vllm import LLM, SamplingParams

    from persyn_kedro.foundations.models.load import load_tokenizer

    tokenizer = load_tokenizer(model)
    prompts: list[Any] = [
        {"prompt_token_ids": tokenizer(prompt)["input_ids"]} for prompt in PROMPTS
    ]
    llm = LLM(**{**vllm_engine.engine_arguments(model, settings, 1024), **more})
    greedy = SamplingParams(temperature=0.0, max_tokens=NEW_TOKENS, detokenize=False)
    # One by one: other batches round differently, which may break a greedy tie differently.
    outputs = [llm.generate([prompt], greedy, use_tqdm=False)[0] for prompt in prompts]
    llm.llm_engine.engine_core.shutdown()
    time.sleep(0.5)  # wait for its process, if it has one, so that its use counts
    yield [list(output.outputs[0].token_ids) for output in outputs]
    yield usage()


if __name__ == "__main__":
    main()
