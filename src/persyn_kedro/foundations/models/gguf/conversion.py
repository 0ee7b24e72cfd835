"""Convert a GGUF file to a dense bfloat16 model directory that transformers and vLLM can load."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.models.gguf.streaming import SAME_MATRIX, SAMPLED_ROWS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADD_BOS = b"tokenizer.ggml.add_bos_token"
GGUF_BOOL = 7


def convert_gguf(path: Path, directory: Path) -> None:
    """Write ``path``'s model (bfloat16 safetensors) and tokenizer into ``directory``.

    Runs in its own process, since it patches the gguf module and may need much memory.

    Raises:
        PersynError: not a GGUF file, or one that transformers cannot read.
    """
    from persyn_kedro.foundations.processes.child import run_in_child

    check_gguf(path)
    need(f"Converting {path.name}", "gguf")
    for _ in run_in_child(convert, path, directory, label=f"converting {path.name}"):
        pass


def check_gguf(path: Path) -> None:
    """Raise PersynError unless ``path`` is a file that begins like a GGUF file."""
    if not path.is_file():
        raise PersynError(f"No such GGUF file: {path}.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise PersynError(f"{path} is not a GGUF file.")


def convert(path: Path, directory: Path) -> Iterator[None]:
    """Convert in this process (a generator without items, for ``run_in_child``)."""
    from transformers import AutoTokenizer

    from persyn_kedro.foundations.models.gguf import reader as gguf_reader
    from persyn_kedro.foundations.models.gguf.streaming import stream_gguf

    gguf_reader.install()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        if not stream_gguf(path, directory):
            convert_whole(path, directory)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise PersynError(f"Transformers cannot read {path}: {error}") from error
    if adds_bos(path) and tokenizer.bos_token is not None:
        tokenizer.add_bos_token = True  # sets the post-processor, which tokenizer.json stores
    tokenizer.save_pretrained(directory)
    yield from ()


def convert_whole(path: Path, directory: Path) -> None:
    """Write config and weights with Transformers, the full model in memory."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    tie_if_same(model)
    model.save_pretrained(directory)


def tie_if_same(model: "PreTrainedModel") -> None:
    """Tie embedding and output matrix if the file has one matrix quantised twice.

    Quantisers store a tied matrix again, at a higher precision, as ``output.weight``, and
    transformers then regards the model as untied. The more precise one is used for both. (Without
    an ``output.weight``, transformers has already tied them.)
    """
    import torch

    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embedding.weight or head.weight.shape != embedding.weight.shape:
        return
    rows = torch.linspace(0, len(head.weight) - 1, SAMPLED_ROWS).long()
    with torch.no_grad():
        sampled = (matrix.weight[rows].float() for matrix in (head, embedding))
        if torch.cosine_similarity(*sampled).mean() <= SAME_MATRIX:
            return
        embedding.weight.copy_(head.weight)
    model.config.get_text_config().tie_word_embeddings = True
    model.tie_weights()


def adds_bos(path: Path) -> bool:
    """Return the file's ``add_bos_token`` flag (False if absent).

    Searches the raw bytes, because gguf's own reader takes up to 20 s to list a large vocabulary.
    A key is stored as: length (uint64), text, type of the value (uint32), value. Source: the GGUF
    specification, version 3, little-endian.
    """
    entry = len(ADD_BOS).to_bytes(8, "little") + ADD_BOS + GGUF_BOOL.to_bytes(4, "little")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = data.find(entry)
        return found >= 0 and data[found + len(entry)] == 1
