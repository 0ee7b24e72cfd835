"""A GGUF file converted a tensor at a time is, to the byte, what Transformers makes of it."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from persyn_kedro.foundations.models.gguf import reader as gguf_reader, streaming as gguf_streaming
from persyn_kedro.foundations.models.gguf.conversion import convert_whole
from persyn_kedro.foundations.models.gguf.streaming import stream_gguf
from tests.support.tiny_gguf import block

HIDDEN, HEADS, KV_HEADS, HEAD, FFN, LAYERS, VOCABULARY = 64, 4, 2, 16, 96, 2, 300
FILES = ("config.json", "generation_config.json", "model.safetensors")


@pytest.fixture(autouse=True)
def own_gguf(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GGUFReader", "get_tensor_name_map"):
        monkeypatch.setattr(gguf, name, getattr(gguf, name))  # undoes install() after the test


def tensors(architecture: str, output: str) -> dict[str, np.ndarray]:
    """Return random weights under GGUF's names."""
    random = np.random.default_rng(5)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    made = {"token_embd.weight": matrix(VOCABULARY, HIDDEN), "output_norm.weight": matrix(HIDDEN)}
    for layer in range(LAYERS):
        sizes = (HIDDEN, HEADS, KV_HEADS, HEAD, FFN)
        made |= block(layer, matrix, sizes, biases=architecture == "qwen2")
        if architecture == "gemma3":
            for name in ("attn_q_norm", "attn_k_norm"):
                made[f"blk.{layer}.{name}.weight"] = matrix(HEAD)
            for name in ("post_attention_norm", "post_ffw_norm"):
                made[f"blk.{layer}.{name}.weight"] = matrix(HIDDEN)
    if output == "same":
        made["output.weight"] = made["token_embd.weight"]
    elif output == "other":
        made["output.weight"] = matrix(VOCABULARY, HIDDEN)
    return made


def write_gguf(path: Path, architecture: str, output: str = "none", without: str = "") -> Path:
    """Write a small model, its matrices quantised in several ways."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_token_list([f"t{i} é" for i in range(VOCABULARY)])
    writer.add_token_types([1 + i % 3 for i in range(VOCABULARY)])
    writer.add_eos_token_id(2)
    for name, weights in tensors(architecture, output).items():
        if name == without:
            continue
        kind = Kind.F32 if weights.ndim == 1 else Kind.Q4_0 if "embd" in name else Kind.Q8_0
        kind = Kind.F16 if "ffn_up" in name else kind
        writer.add_tensor(name, gguf.quantize(weights, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("architecture", "output"),
    [
        ("llama", "none"),
        ("llama", "same"),
        ("llama", "other"),
        ("qwen2", "same"),
        ("gemma3", "none"),
    ],
)
def test_both_ways_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, output: str
) -> None:
    path = write_gguf(tmp_path / "m.gguf", architecture, output)
    whole, streamed = tmp_path / "whole", tmp_path / "streamed"
    whole.mkdir(), streamed.mkdir()
    convert_whole(path, whole)
    gguf_reader.install()
    monkeypatch.setattr(gguf_streaming, "BLOCK_ELEMENTS", 7 * HIDDEN)  # many parts, the last short
    assert stream_gguf(path, streamed)
    assert sorted(p.name for p in streamed.iterdir()) == sorted(p.name for p in whole.iterdir())
    for name in FILES:
        assert (streamed / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize(
    ("architecture", "without"), [("qwen3", ""), ("llama", "blk.1.ffn_up.weight")]
)
def test_what_is_not_covered_is_left_to_transformers(
    tmp_path: Path, architecture: str, without: str
) -> None:
    path = write_gguf(tmp_path / "m.gguf", architecture, without=without)
    directory = tmp_path / "out"
    directory.mkdir()
    assert not stream_gguf(path, directory)
    assert list(directory.iterdir()) == []


def test_the_quick_reader_reads_what_ggufs_own_reads(tmp_path: Path) -> None:
    from transformers.modeling_gguf_pytorch_utils import read_field

    path = write_gguf(tmp_path / "m.gguf", "llama", "other")
    own, quick = gguf.GGUFReader(path), gguf_reader.QuickReader(path)
    assert list(quick.fields) == list(own.fields)
    for name in own.fields:
        assert read_field(quick, name) == read_field(own, name), name
        assert quick.fields[name].types == own.fields[name].types
    assert len(read_field(quick, "tokenizer.ggml.tokens")) == VOCABULARY
    for ours, theirs in zip(quick.tensors, own.tensors, strict=True):
        assert (ours.name, ours.data_offset) == (theirs.name, theirs.data_offset)
        assert np.array_equal(ours.data, theirs.data)


def test_a_file_is_parsed_once(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", "llama")
    gguf_reader.install()
    assert gguf.GGUFReader(str(path)) is gguf.GGUFReader(path)
