"""Calls, tokens, GPU-hours, cost and disk of the paper's two settings, and where the time goes.

    .venv/bin/python benchmarks/sizing.py                   # the tables of docs/scale.md
    .venv/bin/python benchmarks/sizing.py --price 2.5 --bfloat16-share 0.4 --answer-tokens 900

Arithmetic, not a measurement: nothing is loaded or called. Pools, prompts and fractions are those
of conf/paper_*; everything else is an assumption that an option changes. `kedro run
--pipelines=plan` counts the calls and tokens of your own prompts, from the answers in the store.
"""

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from persyn_kedro.domain.planning.disk import BYTES_A_TOKEN, COPIES
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.foundations.settings.teachers import Teachers

CONF = Path(__file__).parent.parent / "conf"
SETTINGS = ("paper_instruct", "paper_math")

# Output tokens per second of one H100 (of several GPUs, divided by their number), published:
# NVIDIA's TensorRT-LLM v1.0, docs/source/performance/perf-overview.md, Llama 3.1 8B, 3.3 70B and
# 3.1 405B in FP8 on 1, 2 and 8 H100 SXM: 500 tokens in and 2,000 out, and 128 in and 4,096 out.
PUBLISHED = {
    2000: {8.0: 17660 / 1, 70.6: 5222 / 2, 405.9: 3994 / 8},
    4096: {8.0: 14325 / 1, 70.6: 4199 / 2, 405.9: 3116 / 8},
}
# Also published, for the slow row: Lambda's vllm-benchmark (benchmark_v0.md), vLLM 0.5.4 of 2024
# with 320 prompts: Mistral 7B in bfloat16 3,281 on one H100, Llama 3.1 405B in FP8 1,231 on eight.
SLOW = {"bfloat16_share": 0.2, "fp8_share": 0.3}
H100_FLOPS = 989e12  # published: dense bfloat16, per second

# Billions of parameters, according to the models' cards.
BILLIONS = {
    "Qwen/Qwen2.5-0.5B": 0.49,
    "Qwen/Qwen2.5-1.5B": 1.54,
    "Qwen/Qwen2.5-3B": 3.09,
    "Qwen/Qwen2.5-7B": 7.62,
    "Qwen/Qwen2.5-14B": 14.7,
    "Qwen/Qwen2.5-32B": 32.5,
    "Qwen/Qwen2.5-72B": 72.7,
    "Qwen/Qwen2.5-Math-1.5B": 1.54,
    "Qwen/Qwen2.5-Math-7B": 7.62,
    "Qwen/Qwen2.5-Math-72B": 72.7,
    "Qwen/QwQ-32B": 32.5,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.54,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": 7.62,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": 14.7,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": 32.5,
    "meta-llama/Llama-3.2-1B": 1.24,
    "meta-llama/Llama-3.2-3B": 3.21,
    "meta-llama/Meta-Llama-3-8B": 8.03,
    "meta-llama/Meta-Llama-3-70B": 70.6,
    "meta-llama/Llama-3.1-8B": 8.03,
    "meta-llama/Llama-3.1-70B": 70.6,
    "meta-llama/Llama-3.3-70B": 70.6,
    "meta-llama/Llama-3.1-405B": 405.9,
    "google/gemma-2-2b": 2.61,
    "google/gemma-2-9b": 9.24,
    "google/gemma-2-27b": 27.2,
    "microsoft/Phi-3-mini-128k": 3.82,
    "microsoft/Phi-3.5-mini": 3.82,
    "microsoft/Phi-3-small-128k": 7.39,
    "microsoft/Phi-3-medium-128k": 14.0,
    "Qwen/Qwen2-1.5B": 1.54,
    "Qwen/Qwen2-7B": 7.62,
    "Qwen/Qwen2-72B": 72.7,
    "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": 7.5,
}
CLASSES = {"under 10B": 10.0, "10B to 40B": 40.0, "70B": 100.0, "405B": math.inf}
SMALL = 10.0  # billions: the "smaller teachers" of the paper's 95 %
STEPS = (
    "label: answers",
    "label: loading",
    "label: scores",
    "label: rewards",
    "train_router",
    "route",
    "generate: answers",
    "generate: loading",
    "sft",
)


@dataclass(frozen=True)
class Teacher:
    """A teacher's size, and what one of its answers takes."""

    billions: float
    fp8: bool
    reasoning: bool
    gpus: int
    answer: float

    @property
    def gigabytes(self) -> float:
        """Size of its weights."""
        return self.billions * (1 if self.fp8 else 2)

    @property
    def group(self) -> str:
        """The class of its row."""
        size = next(name for name, most in CLASSES.items() if self.billions < most)
        return f"{size}, reasoning" if self.reasoning else size


@dataclass(frozen=True)
class Job:
    """One of the paper's settings: its pool, prompts and models."""

    name: str
    pool: Sequence[Teacher]
    prompts: int
    calibration: int
    answered: int  # calibration and train prompts, the N of METHOD.md
    student: float  # billions
    router: float
    judge: float | None
    sft: SftSettings
    train_router: TrainRouterSettings
    fitted: float  # share of the calibration prompts that the router is fitted on

    def shares(self, small_share: float) -> list[float]:
        """Return the share of the routed prompts that each teacher gets."""
        small = [t.billions < SMALL for t in self.pool]
        few, many = sum(small), len(small) - sum(small)
        return [small_share / few if s else (1 - small_share) / many for s in small]


def size_of(hub: str) -> float:
    """Return a hub model's billions of parameters, instruction-tuned or not."""
    base = hub.removesuffix("-FP8")
    for ending in ("-Instruct", "-instruct", "-it"):
        base = base.removesuffix(ending)
    return BILLIONS[base]


def read_job(name: str, given: argparse.Namespace) -> Job:
    """Return the job of an environment in conf/."""
    raw = yaml.safe_load((CONF / name / "parameters.yml").read_text())
    models, prepare = Models(raw["models"]), PrepareSettings(**raw["prepare"])

    def billions(model: str) -> float:
        return size_of(models.root[model].hub or "")

    pool = []
    for teacher in Teachers(raw["teachers"]).root.values():
        model = models.root[teacher.model]
        reasoning = model.think == "keep"
        wanted = given.reasoning_tokens if reasoning else given.answer_tokens
        pool.append(
            Teacher(
                billions(teacher.model),
                (model.hub or "").endswith("-FP8"),
                reasoning,
                model.tensor_parallel_size or 1,
                min(wanted, teacher.sampling.max_new_tokens),
            )
        )
    judge = raw["label"].get("quality", {}).get("model")
    prompts = prepare.limit or sum(source.limit or 0 for source in prepare.all_sources)
    return Job(
        name,
        pool,
        prompts,
        round(prompts * prepare.calibration_fraction),
        round(prompts * (1 - prepare.test_fraction)),
        billions(raw["student"]["model"]),
        billions(raw["train_router"]["backbone"]),
        billions(judge) if judge else None,
        SftSettings(**raw["sft"]),
        TrainRouterSettings(**raw["train_router"]),
        1 - prepare.holdout_fraction,
    )


def tokens_a_second(teacher: Teacher, given: argparse.Namespace) -> float:
    """Return output tokens per second of one GPU: published for some sizes, and in between linear
    in logarithms; models below ``smallest`` billions are as fast as one of that size."""
    table = PUBLISHED[2000 if teacher.answer <= 2000 else 4096]
    size = math.log(max(teacher.billions, given.smallest))
    sizes = sorted(table)
    low, high = (sizes[0], sizes[1]) if size < math.log(sizes[1]) else (sizes[1], sizes[2])
    slope = math.log(table[high] / table[low]) / math.log(high / low)
    rate = table[low] * math.exp(slope * (size - math.log(low)))
    return rate * (given.fp8_share if teacher.fp8 else given.bfloat16_share)


def answering(teacher: Teacher, calls: float, given: argparse.Namespace) -> float:
    """Return the GPU-hours of a teacher's answers."""
    return calls * teacher.answer / tokens_a_second(teacher, given) / 3600


def loading(teacher: Teacher, given: argparse.Namespace) -> float:
    """Return the GPU-hours of loading a teacher once."""
    return teacher.gpus * (teacher.gigabytes / given.load_rate + given.engine_start) / 3600


def staying(pool: Sequence[Teacher], memory: float) -> list[Teacher]:
    """Return the teachers that stay loaded from label to generate, in ``memory`` GB: those that
    label asked last, from the smallest to the largest (``engine.order``)."""
    found: list[Teacher] = []
    for teacher in sorted(pool, key=lambda t: t.gigabytes, reverse=True):
        if sum(t.gigabytes for t in [*found, teacher]) > memory:
            break
        found.append(teacher)
    return found


def loading_again(pool: Sequence[Teacher], memory: float, given: argparse.Namespace) -> float:
    """Return the GPU-hours of generate's loading: what stayed only moves to the GPUs again."""
    stay = staying(pool, memory)
    moved = sum(t.gigabytes / given.wake_rate / 3600 for t in stay)
    return sum(loading(t, given) for t in pool) - sum(loading(t, given) for t in stay) + moved


def computing(operations: float, share: float) -> float:
    """Return the GPU-hours of arithmetic at a share of the peak."""
    return operations / (H100_FLOPS * share) / 3600


def by_step(job: Job, answered: float, given: argparse.Namespace) -> dict[str, float]:
    """Return GPU-hours by step, for this many calibration and train prompts."""
    n, prompt = job.calibration, given.prompt_tokens
    routed = [share * (answered - n) for share in job.shares(given.small_share)]
    pairs = list(zip(job.pool, routed, strict=True))
    labelled = n * sum(t.answer + prompt for t in job.pool)
    mean = sum(t.answer * calls for t, calls in pairs) / sum(routed)
    passes = 8 if job.sft.gradient_checkpointing else 6  # operations per parameter and token
    trained = job.sft.epochs * answered * (mean + prompt)
    fitted = job.train_router.epochs * job.fitted * n * prompt
    load = sum(loading(t, given) for t in job.pool)
    score, train = given.forward_share, given.training_share
    return {
        "label: answers": sum(answering(t, n, given) for t in job.pool),
        "label: loading": load,
        "label: scores": computing(2e9 * job.student * labelled, score),
        "label: rewards": computing(2e9 * (job.judge or 0) * labelled, score),
        "train_router": computing(6e9 * job.router * fitted, train),
        "route": computing(2e9 * job.router * answered * prompt, score),
        "generate: answers": sum(answering(t, calls, given) for t, calls in pairs),
        "generate: loading": load,
        "sft": computing(passes * 1e9 * job.student * trained, train),
    }


def staying_rows(job: Job, given: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
    """Yield the full job's GPU-hours with as much memory for models that stay loaded."""
    steps = by_step(job, job.answered, given)
    whole = sum(steps.values())
    for memory in given.kept_memory:
        again = loading_again(job.pool, memory, given)
        saved = steps["generate: loading"] - again
        yield {
            "setting": job.name,
            "memory, GB": memory,
            "teachers that stay": len(staying(job.pool, memory)),
            "label: loading, GPU-h": steps["label: loading"],
            "generate: loading, GPU-h": again,
            "GPU-h": whole - saved,
            "saved": f"{100 * saved / whole:.0f} %",
        }


def class_rows(job: Job, given: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
    """Yield a row for each class of teachers, and their sum."""
    shares = job.shares(given.small_share)
    rows: dict[str, dict[str, float]] = {}
    for teacher, share in zip(job.pool, shares, strict=True):
        n, routed = job.calibration, share * (job.answered - job.calibration)
        calls = n + routed
        everything = answering(teacher, job.answered, given) + loading(teacher, given)
        found = {
            "teachers": 1,
            "calls": calls,
            "M tokens": calls * teacher.answer / 1e6,
            "answering, GPU-h": answering(teacher, calls, given),
            "loading, GPU-h": 2 * loading(teacher, given),
            "Generate-then-Select: calls": job.answered,
            "Generate-then-Select: GPU-h": everything,
        }
        for group in (teacher.group, "all"):
            row = rows.setdefault(group, dict.fromkeys(found, 0.0))
            for name, value in found.items():
                row[name] += value
    order = [f"{size}{kind}" for kind in ("", ", reasoning") for size in CLASSES]
    yield from ({job.name: g, **rows[g]} for g in [*order, "all"] if g in rows)


def total_row(job: Job, given: argparse.Namespace, note: str = "") -> Mapping[str, Any]:
    """Return a row for the full job: GPU-hours, cost, disk."""
    steps = by_step(job, job.answered, given)
    hours = sum(steps.values())
    everything = sum(answering(t, job.answered, given) + loading(t, given) for t in job.pool)
    shares = job.shares(given.small_share)
    calls = [job.calibration + s * (job.answered - job.calibration) for s in shares]
    tokens = sum(c * t.answer for c, t in zip(calls, job.pool, strict=True))
    all_tokens = job.answered * sum(t.answer for t in job.pool)
    # To select, it scores all answers; it needs no router.
    judging = steps["label: scores"] + steps["label: rewards"]
    select = everything + judging * job.answered / job.calibration + steps["sft"]
    return {
        "setting": job.name + note,
        "GPU-h": hours,
        "of these teachers": teachers_hours(steps),
        "cost, $": hours * given.price,
        "Generate-then-Select: GPU-h": select,
        "Generate-then-Select: $": select * given.price,
        "weights, GB": sum(t.gigabytes for t in job.pool) + 2 * (job.judge or 0),
        "answers, GB": COPIES * BYTES_A_TOKEN * tokens / 1e9,
        "Generate-then-Select: answers, GB": COPIES * BYTES_A_TOKEN * all_tokens / 1e9,
        "checkpoint, GB": 12 * job.student,
    }


def teachers_hours(steps: Mapping[str, float]) -> float:
    """Return the GPU-hours in which teachers are loaded and answer."""
    return sum(hours for name, hours in steps.items() if ": answers" in name or "loading" in name)


def scale_rows(job: Job, given: argparse.Namespace) -> Iterable[Mapping[str, Any]]:
    """Yield each step's GPU-hours at three numbers of prompts."""
    kept = job.answered / job.prompts
    found = {n: by_step(job, n * kept, given) for n in given.sizes}
    for step in STEPS:
        row: dict[str, Any] = {f"{job.name}, GPU-h": step}
        for n, steps in found.items():
            row[f"{n:,}"] = steps[step]
            row[f"share of {n:,}"] = f"{100 * steps[step] / sum(steps.values()):.1f} %"
        yield row
    whole: dict[str, Any] = {f"{job.name}, GPU-h": "all"}
    for n, steps in found.items():
        whole |= {f"{n:,}": sum(steps.values()), f"share of {n:,}": "100 %"}
    yield whole


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    rows = list(rows)
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(map(_shown, row.values())) + " |" for row in rows]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.2g}"


def tables(given: argparse.Namespace) -> list[str]:
    """Return the page's tables: classes of both settings, totals, steps at three sizes of both,
    and what models that stay loaded save."""
    jobs = [read_job(name, given) for name in SETTINGS]
    slow = argparse.Namespace(**{**vars(given), **SLOW})
    return [
        *(table(class_rows(job, given)) for job in jobs),
        table(
            total_row(job, how, note)
            for job in jobs
            for how, note in ((given, ""), (slow, ", slow vLLM"))
        ),
        *(table(scale_rows(job, given)) for job in jobs),
        table(row for job in jobs for row in staying_rows(job, given)),
    ]


def assumptions(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the assumptions; without arguments they are those of docs/scale.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options: dict[str, tuple[float, str]] = {
        "prompt_tokens": (100, "of a prompt, with its template"),
        "answer_tokens": (600, "of an answer"),
        "reasoning_tokens": (5000, "of an answer by a model whose thinking is kept"),
        "bfloat16_share": (0.5, "of the published FP8 rate, for bfloat16 models with vLLM"),
        "fp8_share": (1.0, "the same, for FP8 models"),
        "smallest": (3.0, "billions of parameters below which models get no faster"),
        "small_share": (0.95, "of the routed prompts that go to teachers under 10B"),
        "forward_share": (0.3, "of the GPU's peak, in scoring and routing"),
        "training_share": (0.35, "of the GPU's peak, in training"),
        "load_rate": (1.0, "GB of weights per second"),
        "engine_start": (120, "seconds of vLLM's start, apart from the weights"),
        "wake_rate": (20.0, "GB of weights per second from main memory to a GPU"),
        "price": (3.0, "dollars per H100 hour"),
    }
    for name, (default, text) in options.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=float, default=default, help=f"{text} ({default})")
    parser.add_argument("--sizes", type=int, nargs=3, default=[50_000, 1_000_000, 100_000_000])
    parser.add_argument(
        "--kept-memory",
        type=float,
        nargs="+",
        default=[0, 500, 1500],
        help="GB of main memory in which teachers stay loaded",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    print("\n\n".join(tables(assumptions())))
