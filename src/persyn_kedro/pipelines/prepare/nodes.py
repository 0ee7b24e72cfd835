"""Read, check and split the prompts."""

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import prepare_prompts, read_rows, split_prompts as draw_splits
from persyn_kedro.foundations.settings import PrepareSettings, step
from persyn_kedro.foundations.tables import read_blocks


@step(
    versions_of=(read_rows, prepare_prompts),
    settings=("source",),
)
def read_prompts(settings: PrepareSettings, seed: int) -> pa.RecordBatchReader:
    """Return the checked prompts without repeats, streamed (``schemas.PROMPTS``)."""
    return prepare_prompts(read_rows(settings.source, seed))


@step(
    versions_of=(draw_splits,),
    settings=(
        "calibration_fraction",
        "test_fraction",
        "holdout_fraction",
        "withheld_fraction",
    ),
)
def split_prompts(
    prompts: pads.Dataset, settings: PrepareSettings, seed: int
) -> pa.RecordBatchReader:
    """Return each prompt's split and part (``schemas.SPLITS``)."""
    blocks = read_blocks(prompts, ["prompt_id"])
    ids = (prompt_id for block in blocks for prompt_id in block["prompt_id"].to_pylist())
    return draw_splits(ids, settings, seed)
