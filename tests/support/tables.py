"""Tables of a few rows, in the form that nodes and the domain are handed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from persyn_kedro.domain.prompts.chosen import ChosenPrompts
from persyn_kedro.domain.prompts.select import find_texts
from persyn_kedro.domain.training_set.merge import build_sft_dataset
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas


def dataset(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pads.Dataset:
    return pads.dataset(pa.Table.from_pylist(list(rows), schema))


def prompts_of(texts: Mapping[str, str]) -> ChosenPrompts:
    """Return prompts, by prompt_id, as the steps are handed them."""
    rows = [{"prompt_id": prompt_id, "prompt": text} for prompt_id, text in texts.items()]
    return find_texts(dataset(rows, schemas.SOURCE_PROMPTS), pa.array(texts, pa.string()))


def on_disk(path: Path, table: pa.Table) -> pads.Dataset:
    """Write a table in row groups of 64."""
    pq.write_table(table, path, row_group_size=64)
    return pads.dataset(path)


def sft_rows(
    routed: pa.Table,
    prompts: Mapping[str, Mapping[str, Any]],
    scores: Mapping[str, Sequence[float]],
    rewards: Mapping[tuple[str, str], float | None],
    thinks: Mapping[str, Think],
    system: str | None = None,
    allow_truncated: bool = False,
    unsolved: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Build the training set of plain dictionaries: prompts, scores and rewards by prompt_id."""
    chosen = {
        "row": pa.array(range(len(prompts)), pa.int64()),
        "prompt_id": pa.array(prompts, pa.string()),
        "part": pa.array([p["part"] for p in prompts.values()], pa.string()),
    }
    reader = build_sft_dataset(
        pads.dataset(routed),
        dataset(
            [{**row, "prompt_id": p} for p, row in prompts.items()],
            schemas.PROMPTS,
        ),
        pa.table(chosen),
        dataset([{"prompt_id": p, "scores": s} for p, s in scores.items()], schemas.ASSIGNMENTS),
        dataset(
            [{"prompt_id": p, "teacher": t, "reward": r} for (p, t), r in rewards.items()],
            schemas.REWARDS,
        ),
        thinks,
        system,
        allow_truncated,
        unsolved,
    )
    return reader.read_all().to_pylist()
