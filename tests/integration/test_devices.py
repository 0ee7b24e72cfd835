"""Where models run: a CUDA GPU, else Apple's, else the processor."""

from pathlib import Path

import pytest
import torch

from persyn_kedro.domain.engines.vllm import engine_arguments
from persyn_kedro.domain.student.arguments import dpo_arguments, sft_arguments
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.load import device
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.processes.ranks import check_gpus
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.student import DpoSettings, SftSettings


def machine(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")],
)
def test_the_device_is_the_gpu_that_torch_sees(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
) -> None:
    machine(monkeypatch, cuda, mps)
    assert device() == expected


def test_apple_s_gpu_trains_but_is_one_and_not_vllm_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(monkeypatch, cuda=False, mps=True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    made = sft_arguments(SftSettings(precision="float32"), 1, tmp_path, 4, True)
    assert not made.use_cpu and not made.dataloader_pin_memory
    check_gpus(1)
    with pytest.raises(PersynError, match=r"is 2, but this machine has 1 GPU\(s\)"):
        check_gpus(2)
    model = ResolvedModel("m", tmp_path, "w", ModelSettings(random="chat"))
    assert engine_arguments(model, EngineSettings(), 256)["enforce_eager"]
    machine(monkeypatch, cuda=False, mps=False)
    assert sft_arguments(SftSettings(), 1, tmp_path, 4, True).use_cpu
    check_gpus(2)  # processors share


def test_one_process_trains_on_one_of_several_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TRL refuses what Transformers would make of several; batches would grow with them."""
    machine(monkeypatch, cuda=True, mps=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    sft = sft_arguments(SftSettings(precision="float32", batch_size=3), 1, tmp_path, 4, True)
    dpo = dpo_arguments(DpoSettings(precision="float32", batch_size=3), 1, tmp_path, 4)
    for made in (sft, dpo):
        assert (made.n_gpu, made.train_batch_size, made.device.type) == (1, 3, "cuda")
    machine(monkeypatch, cuda=False, mps=False)
    assert (
        sft_arguments(SftSettings(), 1, tmp_path, 4, True).n_gpu == 0
    )  # and as it was, for others
