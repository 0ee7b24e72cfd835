"""The training set as files that ``datasets``, TRL and LLaMA-Factory read unchanged."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.foundations.tables.rows import read_blocks
from persyn_kedro.foundations.tables.schemas import MESSAGES, SFT_DATASET

FILES = {"train": "data/train.parquet", "withheld": "data/withheld.parquet"}  # by split
PARTS = {"train": "sft", "withheld": "withheld"}  # the `part` of each split
# `prompt` and `completion` are TRL's names, which make it train on the completion only;
# LLaMA-Factory wants a conversation in one column. Kept columns become columns of their own.
HANDED_ON = SFT_DATASET.insert(2, pa.field("messages", MESSAGES)).remove(
    SFT_DATASET.get_field_index("kept") + 1
)


def splits_of(sft_dataset: pads.Dataset) -> dict[str, pa.RecordBatchReader]:
    """Return a stream for each split with rows, in order: ``HANDED_ON``, then the kept columns.

    These are text: as it is, or else JSON.
    """
    parts = set(sft_dataset.to_table(columns=["part"])["part"].unique().to_pylist())
    first = sft_dataset.head(1, columns=["kept"], filter=pc.field("kept").is_valid())
    kept = list(json.loads(first["kept"][0].as_py())) if len(first) else []
    schema = pa.schema([*HANDED_ON, *(pa.field(name, pa.string()) for name in kept)])
    return {
        split: pa.RecordBatchReader.from_batches(schema, _batches(sft_dataset, part, schema))
        for split, part in PARTS.items()
        if part in parts
    }


def _batches(sft_dataset: pads.Dataset, part: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = schema.names[len(HANDED_ON) :]
    for batch in read_blocks(sft_dataset, SFT_DATASET.names, pc.field("part") == part):
        asked, said = batch["prompt"].to_pylist(), batch["completion"].to_pylist()
        whole = pa.array([a + s for a, s in zip(asked, said, strict=True)], MESSAGES)
        columns = [whole if n == "messages" else batch[n] for n in HANDED_ON.names]
        rows = [json.loads(text or "{}") for text in batch["kept"].to_pylist()] if names else []
        columns += [pa.array([_text(row.get(n)) for row in rows], pa.string()) for n in names]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def llama_factory_info(name: str, splits: list[str]) -> dict[str, Any]:
    """Return LLaMA-Factory's ``dataset_info.json`` for the files of these splits.

    ``train`` gets the plain name, another split the name with its own as a suffix. The keys are
    from LLaMA-Factory's data/README.md: sharegpt formatting, with the roles of OpenAI's messages.
    """
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
        "observation_tag": "tool",
    }
    return {
        name if split == "train" else f"{name}_{split}": {
            "file_name": FILES[split],
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": tags,
        }
        for split in splits
    }
