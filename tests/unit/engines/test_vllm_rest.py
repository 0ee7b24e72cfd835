"""How vLLM rests between two calls: here its methods are only called, see tests/real."""

from types import SimpleNamespace
from typing import Any

import pytest

from persyn_kedro.domain.engines import vllm
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.read import read_settings
from tests.support.settings import SHORTEST


class LlmEngine:
    """Notes what it is told, and may be asked no prompt while it sleeps."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.forgets = True
        self.engine_core = SimpleNamespace(shutdown=lambda: self.told.append("shutdown"))

    def reset_prefix_cache(self) -> bool:
        self.told.append("forget")
        return self.forgets

    def sleep(self, level: int) -> None:
        self.told.append(f"sleep {level}")

    def is_sleeping(self) -> bool:
        return self.told[-1:] == ["sleep 1"]

    def wake_up(self) -> None:
        self.told.append("wake")


def engine_with(sleeps: bool) -> Any:
    given = {"enable_sleep_mode": True} if sleeps else {}
    model = SimpleNamespace(name="m", settings=ModelSettings(zoo="smollm2", vllm=given))
    engine = vllm.VllmEngine(model, EngineSettings(name="vllm"), ClusterSettings())  # type: ignore[arg-type]
    engine.load()._llm_engine = LlmEngine()
    return engine


@pytest.mark.parametrize(
    ("gpu", "sleeps", "stays", "told"),
    [
        (False, False, True, ["forget"]),
        (True, False, False, ["forget"]),
        (True, True, True, ["forget", "sleep 1", "wake"]),
    ],
)
def test_it_stays_on_a_cpu_and_sleeps_on_a_gpu_if_it_may(
    gpu: bool, sleeps: bool, stays: bool, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "uses_gpu", lambda: gpu)
    monkeypatch.setattr(vllm.Turns, "of", lambda model, settings: SimpleNamespace(prepare=None))
    engine = engine_with(sleeps)
    assert engine.rest() == stays
    if stays:
        assert list(engine.generate([])) == []
    llm_engine = engine._llm_engine
    engine.close()
    assert llm_engine.told == [*told, "shutdown"]


@pytest.mark.parametrize(
    ("forgets", "given"),
    [
        (False, {}),
        (True, {"kv_offloading_size": 4.0}),
        (True, {"kv_transfer_config": {"kv_connector": "LMCacheConnectorV1"}}),
    ],
)
def test_where_a_prompt_may_still_be_cached_it_ends(
    forgets: bool, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for gpu in (False, True):
        monkeypatch.setattr(vllm, "uses_gpu", lambda gpu=gpu: gpu)
        engine = engine_with(True)
        engine.model.settings.vllm.update(given)
        engine._llm_engine.forgets = forgets
        assert not engine.rest()
        assert "sleep 1" not in engine._llm_engine.told


def test_what_answered_nothing_has_nothing_to_keep() -> None:
    engine = engine_with(False)
    engine._llm_engine = None
    assert not engine.rest()


def test_the_sleep_mode_may_be_set_for_all_models() -> None:
    raw = {**SHORTEST, "engine": {"vllm": {"enable_sleep_mode": True}}}
    model = read_settings(raw).models.root["a"]
    assert model.vllm == {"enable_sleep_mode": True}
    assert model.vllm_identity == {}
