"""Each test runs on this machine's device: on a CPU in `make test`, on GPUs in `make gpu-check`.

The code is the same, so that it is known to work before it meets a GPU.
"""

from dataclasses import replace

import pytest

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.foundations.models.load import device as this_device
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import ModelSettings
from tests.gpu.reference_kernel import ReferenceKernel
from tests.support.trainings import tiny_student


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The device that models are on, by default, in this test."""
    here = this_device()
    if request.param != here:
        missing = "torch finds no CUDA GPU" if here != "cuda" else "here the GPU's variant runs"
        pytest.skip(missing)
    return request.param


@pytest.fixture
def kernel(device: str, monkeypatch: pytest.MonkeyPatch) -> ReferenceKernel:
    """The kernel for packed rows, counting its calls: on a GPU torch's, here one like it."""
    return ReferenceKernel(device, monkeypatch)


@pytest.fixture(scope="session")
def float32_model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return tiny_student(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="session")
def bfloat16_model(float32_model: ResolvedModel) -> ResolvedModel:
    return replace(float32_model, settings=ModelSettings(random="chat", dtype="bfloat16"))


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_loaded", None)  # another test's
