"""Memory of scoring beyond the model's own, for a vocabulary of 262K and responses of 2K tokens.

    .venv/bin/python benchmarks/scoring_memory.py

A small random model with a large vocabulary: what matters is the growth with vocabulary and length.
Ours must not grow with their product; a full-logits forward does.
"""

import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import measuring

VOCABULARY = 262_144


def peak(way: str, length: int, vocabulary: int, pipe: Any) -> None:
    """Send the mean log p, and the bytes at the peak beyond those after loading."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from persyn_kedro.domain.learnability import statistics
    from persyn_kedro.foundations.models import load as loading
    from persyn_kedro.foundations.models.random import make_random_model
    from persyn_kedro.foundations.models.rendering import render
    from persyn_kedro.foundations.models.resolve import ResolvedModel
    from persyn_kedro.foundations.settings.models import ModelSettings

    with tempfile.TemporaryDirectory() as place:
        make_random_model(Path(place) / "m", "chat", 1)
        settings = ModelSettings(random="chat", dtype="bfloat16")
        student = ResolvedModel("student", Path(place) / "m", "w", settings)
        tokenizer = loading.load_tokenizer(student)
        torch.manual_seed(1)
        config = LlamaConfig(
            vocab_size=vocabulary, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=8192, tie_word_embeddings=True,
        )  # fmt: skip
        device = loading.device()
        model = LlamaForCausalLM(config).bfloat16().to(device).eval()
        loading.load_causal_lm = lambda *_, **__: model
        request = ("k", "A prompt.", "y" * length)  # one token per byte
        with Peak(device) as memory:
            if way == "ours":
                (row,) = statistics.token_statistics([request], student, None, "bfloat16")
                mean = row["sum_logp"] / row["tokens"]
            else:
                rendered = render(tokenizer, None, *request[1:])
                ids = torch.tensor([rendered.prompt_ids + rendered.response_ids], device=device)
                with torch.inference_mode():
                    logp = model(ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
                    true = logp.gather(-1, ids[0, 1:, None])[len(rendered.prompt_ids) - 1 :]
                    mean = true.mean().item()
        pipe.send((mean, memory.above))


class Peak:
    """The largest memory use while this context is open, beyond that at its beginning.

    On a CPU the resident size is sampled from smaps_rollup, which is exact: recent kernels report
    VmHWM from per-processor counters that were off by hundreds of MiB here.
    """

    def __init__(self, device: str) -> None:
        self._device, self._open, self.above = device, True, 0

    def __enter__(self) -> "Peak":
        import torch

        self._before = torch.cuda.memory_allocated() if self._device == "cuda" else _resident()
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        else:
            self._thread = threading.Thread(target=self._watch)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        self._open = False
        if self._device == "cuda":
            self.above = torch.cuda.max_memory_allocated() - self._before
        else:
            self._thread.join()

    def _watch(self) -> None:
        while self._open:
            self.above = max(self.above, _resident() - self._before)
            time.sleep(0.002)


def _resident() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(x for x in lines if x.startswith("Rss:")).split()[1]) * 1024


def main() -> None:
    """Measure both ways, each in a fresh process, and ours also at a quarter of each size."""
    measuring.arguments(__doc__)
    cases = [
        ("ours", 2048, VOCABULARY),
        ("ours", 512, VOCABULARY),
        ("ours", 2048, VOCABULARY // 4),
        ("full logits", 2048, VOCABULARY),
    ]
    found, means = [], {}
    context = multiprocessing.get_context("spawn")
    for way, length, vocabulary in cases:
        ours, theirs = context.Pipe()
        context.Process(target=peak, args=(way, length, vocabulary, theirs)).start()
        theirs.close()  # so that the run ends if the process dies
        means[way, length, vocabulary], taken = ours.recv()
        gib = taken / 2**30
        found.append({"way": way, "tokens": length, "vocabulary": vocabulary, "GiB above": gib})
    if abs(means[cases[0]] - means[cases[-1]]) > 0.01:
        raise SystemExit(f"the two do not agree: {means}")
    measuring.report("scoring_memory", found)


if __name__ == "__main__":
    main()
