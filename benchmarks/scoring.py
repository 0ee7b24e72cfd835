"""Tokens per second of scoring responses with the student (learnability and other statistics).

    .venv/bin/python benchmarks/scoring.py

Responses of mixed length (20 to 800 tokens) from 4 teachers to the same prompts. Ours computes
rank, sum of p squared and log p; the others only log p (vLLM's ``prompt_logprobs``, one forward per
response, padded batches of 8). The limit is the time of the model's matrix products alone, each at
the best rate of a product with its weights here (``best_rate``), measured in the same run.
"""

import importlib.util
import itertools
import math
import random
import time
from collections.abc import Callable
from typing import Any

import measuring

TEACHERS = 4
SECONDS_A_SIZE = 0.5  # for the best rate of a product
WORDS = (
    "the of sum first then take twelve from result gives so we add both sides and divide by three "
    "which leaves number equals because final answer is step next each value minus plus times"
).split()
EXACT = "one by one, float32"
VLLM = "vLLM prompt_logprobs"
Requests = list[tuple[str, str, str]]


def requests(prompts: int, longest: int = 800, seed: int = 1) -> Requests:
    """Return (key, prompt, response) of TEACHERS responses to each prompt, prompt by prompt."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    made = []
    for i in range(prompts):
        prompt = " ".join(draw.choices(WORDS, k=draw.randint(30, 90)))
        for teacher in range(TEACHERS):
            words = round(math.exp(draw.uniform(math.log(20), math.log(longest))))
            made.append((f"{i}-{teacher}", prompt, " ".join(draw.choices(WORDS, k=words))))
    return made


def _student(dtype: str) -> Any:
    from persyn_kedro.foundations.models.resolve import resolve_model
    from persyn_kedro.foundations.settings.models import ModelSettings

    return resolve_model("smollm2", ModelSettings(zoo="smollm2", dtype=dtype))  # type: ignore[arg-type]


def ours(made: Requests, dtype: str, in_float32: bool = True) -> Callable[[], list[float]]:
    """Our scorer on a loaded model, with all its statistics."""
    from persyn_kedro.domain.learnability import statistics
    from persyn_kedro.foundations.models import load as loading

    student = _student(dtype)
    model, tokenizer = loading.load_causal_lm(student, dtype), loading.load_tokenizer(student)
    loading.load_causal_lm = lambda *_, **__: model  # loading is not timed
    loading.load_tokenizer = lambda *_: tokenizer
    statistics.check_head(model, "student")  # happens once after loading, and is excluded too
    if in_float32:
        statistics.products_in_float32(model)  # this and what follows: also once
    statistics.products_in_float32 = lambda _: None
    packs = statistics.use_packing(model)
    statistics.check_head = lambda *_: None
    statistics.use_packing = lambda _: packs
    statistics.norms_by_rows(model)
    statistics.norms_by_rows = lambda _: None

    def work() -> list[float]:
        rows = statistics.token_statistics(made, student, None, dtype)
        return [row["sum_logp"] / row["tokens"] for row in rows]

    return work


def _sequences(made: Requests, student: Any) -> list[tuple[list[int], int]]:
    """Return each request's ids and where its response begins."""
    from persyn_kedro.foundations.models.load import load_tokenizer
    from persyn_kedro.foundations.models.rendering import render

    tokenizer = load_tokenizer(student)
    rendered = [render(tokenizer, None, prompt, text) for _, prompt, text in made]
    return [(r.prompt_ids + r.response_ids, len(r.prompt_ids)) for r in rendered]


def batched(made: Requests, dtype: str, size: int) -> Callable[[], list[float]]:
    """Plain transformers: full logits of right-padded batches of ``size``, sorted by length."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from persyn_kedro.foundations.models.load import load_causal_lm

    student = _student(dtype)
    model, sequences = load_causal_lm(student, dtype), _sequences(made, student)
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i][0]))

    def work() -> list[float]:
        found = [0.0] * len(sequences)
        with torch.inference_mode():
            for start in range(0, len(order), size):
                batch = order[start : start + size]
                ids = [torch.tensor(sequences[i][0]) for i in batch]
                lengths = torch.tensor([len(x) for x in ids])
                padded = pad_sequence(ids, batch_first=True).to(model.device)
                mask = (torch.arange(padded.shape[1]) < lengths[:, None]).to(model.device)
                mask = mask if size > 1 else None
                logits = model(padded, attention_mask=mask, use_cache=False).logits
                logp = logits[:, :-1].float().log_softmax(-1)
                logp = logp.gather(-1, padded[:, 1:, None])[..., 0]
                for row, i in enumerate(batch):
                    found[i] = logp[row, sequences[i][1] - 1 : lengths[row] - 1].mean().item()
        return found

    return work


def vllm(made: Requests, dtype: str) -> Callable[[], list[float]]:
    """vLLM's prompt_logprobs, given all prompts at once."""
    import os

    from persyn_kedro.domain.engines.vllm import VllmEngine
    from persyn_kedro.foundations.settings.engine import EngineSettings

    os.environ.update(VllmEngine.environment(EngineSettings()))
    from vllm import LLM, SamplingParams

    student = _student(dtype)
    sequences = _sequences(made, student)
    llm = LLM(
        model=str(student.directory), dtype=dtype, max_model_len=2048, enforce_eager=True,
        enable_prefix_caching=False, seed=0,
        gpu_memory_utilization=0.4,  # the other ways' models are on the same GPU
    )  # fmt: skip
    parameters = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)
    prompts = [{"prompt_token_ids": ids} for ids, _ in sequences]

    def work() -> list[float]:
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        found = []
        for output, (ids, start) in zip(outputs, sequences, strict=True):
            given = zip(output.prompt_logprobs[start:], ids[start:], strict=True)
            values = [entry[token].logprob for entry, token in given]
            found.append(sum(values) / len(values))
        return found

    return work


def matrix_limit(made: Requests, dtype: str) -> tuple[int, float]:
    """Return the response tokens, and the seconds of the model's arithmetic at matrix speed."""
    from persyn_kedro.foundations.models.load import load_causal_lm

    student = _student(dtype)
    model = load_causal_lm(student, dtype)
    sequences = _sequences(made, student)
    responses = sum(len(ids) - start for ids, start in sequences)
    prompts = sum(start for _, start in sequences[::TEACHERS])
    head = model.get_output_embeddings().weight
    inner = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    config = model.config
    pairs = sum(len(ids) ** 2 / 2 for ids, _ in sequences)
    attention = 4 * config.hidden_size * config.num_hidden_layers * pairs
    shapes = {p.shape for p in [*inner, head]}
    rates = {shape: best_rate(shape, {dtype, "float32"}, head.device) for shape in shapes}
    seconds = attention / max(rates.values()) + 2 * head.numel() * responses / rates[head.shape]
    seconds += sum(2 * p.numel() * (prompts + responses) / rates[p.shape] for p in inner)
    return responses, seconds


def best_rate(shape: Any, dtypes: set[str], device: Any) -> float:
    """Return the most operations per second of a product with weights of this shape.

    A bound must be the best there is: of all data types that the scorer computes in, of few rows
    and of many, and of the repetitions the fastest.
    """
    import torch

    rates: list[float] = []
    slow: set[str] = set()
    for dtype, rows in itertools.product(sorted(dtypes), (64, 256, 1024, 4096)):
        if dtype in slow:  # multiplied by plain loops: more rows would take minutes
            continue
        weights = torch.randn(shape, dtype=getattr(torch, dtype), device=device)
        given = torch.randn(rows, shape[1], dtype=weights.dtype, device=device)
        begun = time.perf_counter()
        with torch.inference_mode():
            while time.perf_counter() - begun < SECONDS_A_SIZE:
                start = time.perf_counter()
                torch.nn.functional.linear(given, weights)
                if device.type == "cuda":
                    torch.cuda.synchronize()
                taken = time.perf_counter() - start
                rates.append(2 * rows * weights.numel() / taken)
        if taken > SECONDS_A_SIZE:
            slow.add(dtype)
    return max(rates)


def check(results: dict[str, list[float]], off: dict[str, float]) -> None:
    """Raise unless each way is as close to float32 as bfloat16 gets; record how close."""
    exact = results[EXACT]
    for name, found in results.items():
        off[name] = sum(abs(a - b) for a, b in zip(found, exact, strict=True)) / len(exact)
    worst = max(off.values())
    if not worst <= 2 * off["one by one"] + 0.01:  # so that NaN is refused
        raise SystemExit(f"mean differences from float32, in nats per token: {off}")


def _multiplies_in_float32(args: Any) -> bool:
    import torch

    from persyn_kedro.foundations.models.float32_products import has_instructions

    return args.device == "cpu" and not has_instructions(getattr(torch, args.dtype))


def main() -> None:
    """Time the ways."""
    args = measuring.arguments(
        __doc__,
        prompts={"type": int, "default": 6},
        longest={"type": int, "default": 800, "help": "words of a response"},
        dtype={"default": "bfloat16"},
    )
    made = requests(args.prompts, args.longest)
    ways: dict[str, Any] = {
        "ours": (ours, (made, args.dtype)),
        "one by one": (batched, (made, args.dtype, 1)),
        "padded batches": (batched, (made, args.dtype, 8)),
        EXACT: (batched, (made, "float32", 1)),
    }
    if _multiplies_in_float32(args):
        ways["ours, products in half precision"] = (ours, (made, args.dtype, False))
    if importlib.util.find_spec("vllm"):
        ways[VLLM] = (vllm, (made, args.dtype))
    off: dict[str, float] = {}
    seconds = measuring.alternate_processes(ways, args.repeats, lambda r: check(r, off))
    tokens, limit = matrix_limit(made, args.dtype)
    rows = measuring.compared(seconds, "one by one", tokens, "response tokens/s")
    for row in rows:
        row["share of the matrix limit"] = limit / row["seconds"]
        row["off float32, nats per token"] = off[row["way"]]
    facts = {}
    if VLLM in ways:
        facts["ours over vLLM"] = measuring.compared(seconds, VLLM)[0]["ratio"]
    measuring.report("scoring", rows, **facts)


if __name__ == "__main__":
    main()
