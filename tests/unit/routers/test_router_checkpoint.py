"""A router's checkpoint holds every random state that its training draws from."""

from pathlib import Path

import pytest
import torch

from persyn_kedro.domain.routers.language_model.checkpoint import RouterCheckpoint


def test_the_gpu_s_random_state_is_restored_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an adapter's dropout would begin again after a kill."""
    state, restored = torch.arange(16, dtype=torch.uint8), list[torch.Tensor]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", restored.append)
    RouterCheckpoint(tmp_path, {}, 1, torch.Generator()).save({}, [{"epoch": 1, "loss": 0.5}])
    again = RouterCheckpoint(tmp_path, {}, 1, torch.Generator())
    assert again.load({}) == [{"epoch": 1, "loss": 0.5}]
    assert [each.tolist() for each in restored] == [state.tolist()]
