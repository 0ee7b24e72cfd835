"""The student trains on a device: its full weights, an adapter, an adapter beside 4-bit weights."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from persyn_kedro.domain.student import sft
from persyn_kedro.domain.student.sft import train_student_job, training_examples
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.student import SftSettings, StudentLoraSettings
from tests.gpu.reference_kernel import ReferenceKernel

ROWS = [{"prompt": f"{i}+1?", "response": f"It is {i + 1}. " * (1 + i % 2)} for i in range(6)]
LORA = StudentLoraSettings(rank=4)
FOUR_BIT = StudentLoraSettings(rank=4, quantize="4bit")
KINDS = {"full": None, "LoRA": LORA, "4bit": FOUR_BIT}


def trained(student: ResolvedModel, work: Path, **settings: Any) -> list[float]:
    """Return the losses of each step."""
    job = train_student_job(ROWS, student, None, SftSettings(**settings), 1, work)
    return [item["loss"] for item in job if "loss" in item]


def nll(directory: Path, student: ResolvedModel) -> float:
    """The mean loss of a saved student, on the CPU in float32."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    total, count = 0.0, 0
    for example in training_examples(load_tokenizer(student), ROWS, None, 512):
        ids, labels = (torch.tensor(example[key]) for key in ("input_ids", "labels"))
        with torch.no_grad():
            logits = model(ids[None]).logits[0]
        found = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], reduction="sum")
        total, count = total + found.item(), count + int((labels[1:] != -100).sum())
    return total / count


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls_and_the_saved_student_has_it(
    device: str, kernel: ReferenceKernel, bfloat16_model: ResolvedModel, kind: str, tmp_path: Path
) -> None:
    if kind == "4bit" and not importlib.util.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is not installed")
    losses = trained(
        bfloat16_model, tmp_path, epochs=15, batch_size=6, learning_rate=0.02, lora=KINDS[kind],
        precision="bfloat16_autocast",
    )  # fmt: skip
    assert kernel.calls > 15  # each layer of each step, forward
    before = nll(bfloat16_model.directory, bfloat16_model)
    assert losses[0] == pytest.approx(before, abs=0.2 if kind == "4bit" else 0.05)
    assert losses[-1] < 0.8 * losses[0]
    after = nll(tmp_path / "model", bfloat16_model)
    assert after < 0.85 * before and after == pytest.approx(losses[-1], abs=0.35)


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "LoRA"])
def test_packed_rows_train_as_padded_batches_do(
    device: str, float32_model: ResolvedModel, lora: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    how = {
        "epochs": 3,
        "batch_size": 3,
        "learning_rate": 1e-3,
        "precision": "float32",
        "lora": lora,
    }
    packed = trained(float32_model, tmp_path / "packed", **how)
    monkeypatch.setattr(sft, "packable", lambda model: False)
    assert trained(float32_model, tmp_path / "padded", **how) == pytest.approx(packed, abs=5e-4)
    weights = [load_file(tmp_path / w / "model/model.safetensors") for w in ("packed", "padded")]
    origin = load_causal_lm(float32_model, place="cpu").state_dict()
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-3, name
    assert any(not tensor.equal(origin[name]) for name, tensor in weights[0].items())
