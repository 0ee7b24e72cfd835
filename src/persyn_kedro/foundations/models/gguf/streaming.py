"""Convert a GGUF file to safetensors tensor by tensor, so that the model is never in memory."""

import json
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from gguf import ReaderTensor
    from transformers import PreTrainedModel

# Architectures for which the result equals Transformers' conversion of the full model
# (benchmarks/conversion.py, tests/integration/test_gguf_streaming.py). Others use the latter.
STREAMED = ("llama", "qwen2", "gemma3")
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"  # GGUF's names
BLOCK_ELEMENTS = 1 << 22  # elements of a large matrix in memory at once
SAME_MATRIX = 0.99  # mean cosine of rows above which two matrices are one, quantised differently
SAMPLED_ROWS = 512


def stream_gguf(path: Path, directory: Path) -> bool:
    """Write config and weights (bfloat16) of ``path`` into ``directory``.

    Names, permutations and offsets of tensors are Transformers' own. Returns False, having written
    nothing, if they do not cover the file: then the full model must be loaded.
    """
    import gguf
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        read_field,
    )

    reader = gguf.GGUFReader(str(path))
    architecture = read_field(reader, "general.architecture")[0]
    if architecture not in STREAMED:
        return False
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())
    sources = _sources(path, reader.tensors, model, processor)
    if sources is None:
        return False
    model.config.dtype = "bfloat16"
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(directory)
    model.generation_config.save_pretrained(directory)
    shapes = {name: list(map(int, reversed(t.shape))) for name, t in sources.items()}
    blocks = (block for t in sources.values() for block in _blocks(path, t, processor))
    _write(directory / "model.safetensors", shapes, blocks)
    return True


def _sources(
    path: Path, tensors: Iterable["ReaderTensor"], model: "PreTrainedModel", processor: Any
) -> dict[str, "ReaderTensor"] | None:
    """Return the file's tensor for each weight to save, by name; None if any is in doubt."""
    import torch
    from transformers.modeling_gguf_pytorch_utils import get_gguf_hf_weights_map

    names = get_gguf_hf_weights_map(model, processor)
    file = {tensor.name: tensor for tensor in tensors}
    found = {names[name]: tensor for name, tensor in file.items() if name in names}
    wanted = model.state_dict()
    if OUTPUT in file and _is_same_matrix(path, file[OUTPUT], file[EMBEDDING]):
        # Quantisers store a tied matrix again, at a higher precision: that one is used for both.
        found[names[EMBEDDING]] = found.pop(names[OUTPUT])
        model.config.get_text_config().tie_word_embeddings = True
    if model.config.get_text_config().tie_word_embeddings:
        wanted = {n: w for n, w in wanted.items() if n not in (model._tied_weights_keys or {})}
    whole = found.keys() == wanted.keys() and all(
        w.dtype == torch.bfloat16 and tuple(w.shape) == tuple(reversed(found[n].shape.tolist()))
        for n, w in wanted.items()
    )
    return dict(sorted(found.items())) if whole else None  # in safetensors' order


def _is_same_matrix(path: Path, head: "ReaderTensor", embedding: "ReaderTensor") -> bool:
    """Return whether output and embedding are one matrix (see ``conversion.tie_if_same``)."""
    import torch

    if head.shape.tolist() != embedding.shape.tolist():
        return False
    rows = torch.linspace(0, int(head.shape[-1]) - 1, SAMPLED_ROWS).long().tolist()
    sampled = (
        torch.cat([_dequantised(path, matrix, row, 1) for row in rows]).bfloat16().float()
        for matrix in (head, embedding)
    )
    return bool(torch.cosine_similarity(*sampled).mean() > SAME_MATRIX)


def _dequantised(path: Path, tensor: "ReaderTensor", start: int, rows: int) -> Any:
    """Return rows of a tensor as float32, read from the file: a memory map would stay resident."""
    import numpy as np
    import torch
    from gguf import dequantize

    width = prod(tensor.data.shape[1:])
    place = tensor.data_offset + start * width * tensor.data.itemsize
    data = np.fromfile(path, tensor.data.dtype, rows * width, offset=place)
    return torch.from_numpy(
        dequantize(data.reshape(rows, *tensor.data.shape[1:]), tensor.tensor_type)
    )


def _blocks(path: Path, tensor: "ReaderTensor", processor: Any) -> Iterator["np.ndarray"]:
    """Yield a tensor's bytes as bfloat16. Only the two potentially huge matrices, which no
    processor touches, come in parts."""
    import torch

    rows = len(tensor.data)
    step = rows
    if tensor.name in (EMBEDDING, OUTPUT):
        step = max(1, BLOCK_ELEMENTS // int(tensor.shape[0]))
    for start in range(0, rows, step):
        weights = _dequantised(path, tensor, start, min(step, rows - start)).numpy()
        weights = processor.process(weights=weights, name=tensor.name).weights
        yield torch.from_numpy(weights).bfloat16().contiguous().view(torch.uint8).numpy()


def _write(path: Path, shapes: dict[str, list[int]], blocks: Iterable["np.ndarray"]) -> None:
    """Write a safetensors file of bfloat16 tensors whose bytes arrive in sequence."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for block in blocks:
            file.write(block.data)
