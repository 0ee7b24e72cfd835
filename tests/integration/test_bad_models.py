"""Models and pools that are refused before anything is loaded or paid for."""

import dataclasses
from pathlib import Path

import pytest

from persyn_kedro.domain.routers.embeddings import load_backbone
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights
from persyn_kedro.foundations.models.load import load_causal_lm, load_tokenizer
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.settings.models import ModelSettings


def test_weights_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    make_random_model(tmp_path, "chat", 0)
    resolved = weights.resolve_model("m", ModelSettings(local=str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(PersynError, match=f"Model 'm' in {tmp_path} cannot be loaded: [^\n]*$"):
        load_causal_lm(resolved)
    with pytest.raises(PersynError, match="Model 'm' in .* cannot be loaded"):
        load_backbone(resolved)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(PersynError, match="Model 'm' in .* cannot be loaded"):
        load_tokenizer(resolved)


def test_allowed_pickles_are_loaded_and_others_are_not(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    make_random_model(tmp_path, "chat", 0)
    tensors = load_file(tmp_path / "model.safetensors")
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    settings = ModelSettings(local=str(tmp_path), allow_pickle=True, dtype="float32")
    allowed = weights.resolve_model("m", settings)
    loaded = load_causal_lm(allowed).state_dict()
    assert all(torch.equal(loaded[name].cpu(), tensor) for name, tensor in tensors.items())
    refused = ModelSettings(local=str(tmp_path))
    with pytest.raises(PersynError, match="allow_pickle"):
        weights.resolve_model("m", refused)
    with pytest.raises(PersynError, match="cannot be loaded"):  # were the check passed by
        load_causal_lm(dataclasses.replace(allowed, settings=refused))
