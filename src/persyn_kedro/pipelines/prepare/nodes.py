"""Read, check and split the prompts."""

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import (
    mix_sources,
    prepare_prompts,
    read_rows,
    split_prompts as draw_splits,
)
from persyn_kedro.foundations.settings import PrepareSettings, step
from persyn_kedro.foundations.tables import SOURCE_PROMPTS, read_blocks


@step(
    versions_of=(read_rows, prepare_prompts, mix_sources),
    settings=("source", "sources", "limit"),
)
def read_prompts(settings: PrepareSettings, seed: int) -> pa.RecordBatchReader:
    """Return the checked prompts without duplicates, streamed (``schemas.SOURCE_PROMPTS``)."""
    if settings.source is None:
        return mix_sources(settings, seed)
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
    source_prompts: pads.Dataset, settings: PrepareSettings, seed: int
) -> pa.RecordBatchReader:
    """Return the prompts with split and part, streamed (``schemas.PROMPTS``)."""
    return draw_splits(read_blocks(source_prompts, SOURCE_PROMPTS.names), settings, seed)
