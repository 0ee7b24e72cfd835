"""``persyn doctor`` asks for vLLM only where this machine would run it."""

import os
from pathlib import Path

import pytest

from persyn_kedro.cli import doctor
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import memory
from persyn_kedro.foundations.settings import read_settings
from persyn_kedro.pipeline_registry import register_pipelines
from tests.support.settings import SHORTEST

HERE = [
    ({"engine": {"name": "vllm"}}, True),
    ({"engine": {"name": "transformers"}}, False),
    ({"engine": {"name": "ray", "inside": "vllm"}, "cluster": {"address": "local"}}, True),
    ({"engine": {"name": "ray", "inside": "vllm"}, "cluster": {"address": "10.0.0.1:6379"}}, False),
    ({"engine": {"name": "ray", "inside": "transformers"}, "cluster": {"address": "local"}}, False),
]


@pytest.mark.parametrize(("settings", "here"), HERE)
def test_vllm_is_asked_for_where_it_would_run(
    settings: dict, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_settings({**SHORTEST, **settings})
    monkeypatch.setattr(doctor, "is_installed", lambda _: True)
    doctor._check_engine(read)
    monkeypatch.setattr(doctor, "is_installed", lambda _: False)
    if not here:
        return doctor._check_engine(read)
    with pytest.raises(PersynError, match=r"^Engine vllm is not installed: run `pip install .*\.$"):
        doctor._check_engine(read)


def test_keys_are_named_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "sk-secret")
    monkeypatch.delenv("TWO", raising=False)
    url = "https://api.example.com/v1"
    models = {
        name.lower(): {"endpoint": {"url": url, "model": "m", "api_key_env": name}}
        for name in ("ONE", "TWO")
    }
    read = read_settings(
        {
            **SHORTEST,
            "models": {**SHORTEST["models"], **models},
            "teachers": {name: {"model": name} for name in models},
        }
    )
    found = doctor.Findings()
    doctor._find_models(register_pipelines()["__default__"], read, found)
    assert [*found.keys] == ["ONE"]
    assert len([text for text in found.missing if "TWO, which is not set" in text]) == 1
    assert "sk-secret" not in str(found)


def test_a_machine_that_tells_less_than_linux_is_described_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a Mac: no affinity of processes, no free memory."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(memory, "_FILES", tmp_path)
    monkeypatch.setattr("persyn_kedro.domain.quality.bubblewrap_fault", lambda: "none here")
    (cores,) = [line for line in doctor._machine() if " cores, " in line]
    assert cores.startswith(f"{os.cpu_count()} cores, ")
    assert cores.endswith("GiB of memory")
