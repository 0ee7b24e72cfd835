"""A GGUF file small enough to be written by a test, with which one can talk."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

from persyn_kedro.foundations.models.random import CHATML, END, START

HIDDEN, HEADS, KV_HEADS, HEAD, FFN, LAYERS = 64, 2, 1, 32, 64, 2


def write_tiny_gguf(path: Path, seed: int = 5) -> Path:
    """Write a Qwen2 of random weights: a token for each byte, and ChatML."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = [*sorted(ByteLevel.alphabet()), "he", "<|endoftext|>", START, END]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["h e"])
    writer.add_eos_token_id(tokens.index(END))
    writer.add_chat_template(CHATML)
    for name, weights in _tensors(len(tokens), np.random.default_rng(seed)).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tensors(vocabulary: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    def draw(*shape: int) -> np.ndarray:
        return random.normal(scale=0.3, size=shape).astype(np.float32)

    made = {"token_embd.weight": draw(vocabulary, HIDDEN), "output_norm.weight": draw(HIDDEN)}
    for layer in range(LAYERS):
        made |= block(layer, draw, (HIDDEN, HEADS, KV_HEADS, HEAD, FFN), biases=True)
    return made


def block(
    layer: int,
    draw: Callable[..., np.ndarray],
    sizes: tuple[int, int, int, int, int],
    biases: bool,
) -> dict[str, np.ndarray]:
    """Return a layer's weights under GGUF's names; ``biases``: of its attention, as Qwen2 has."""
    hidden, heads, kv_heads, head, ffn = sizes
    made = {}
    for name, shape in {
        "attn_norm": (hidden,),
        "ffn_norm": (hidden,),
        "attn_q": (heads * head, hidden),
        "attn_k": (kv_heads * head, hidden),
        "attn_v": (kv_heads * head, hidden),
        "attn_output": (hidden, heads * head),
        "ffn_gate": (ffn, hidden),
        "ffn_up": (ffn, hidden),
        "ffn_down": (hidden, ffn),
    }.items():
        made[f"blk.{layer}.{name}.weight"] = draw(*shape)
        if biases and name in ("attn_q", "attn_k", "attn_v"):
            made[f"blk.{layer}.{name}.bias"] = draw(shape[0])
    return made
