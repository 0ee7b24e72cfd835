"""Read, check and split the prompts."""

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import preparation
from persyn_kedro.domain.prompts.sources import read_rows
from persyn_kedro.foundations.step import step
from persyn_kedro.foundations.step_parameters import PrepareSettings


@step(version=2, settings=("source",))
def read_prompts(settings: PrepareSettings, seed: int) -> pa.Table:
    """Return the checked prompts without repeats (``schemas.PROMPTS``)."""
    return preparation.prepare_prompts(read_rows(settings.source, seed))


@step(
    settings=(
        "calibration_fraction",
        "test_fraction",
        "holdout_fraction",
        "withheld_fraction",
    )
)
def split_prompts(prompts: pads.Dataset, settings: PrepareSettings, seed: int) -> pa.Table:
    """Return each prompt's split and part (``schemas.SPLITS``)."""
    ids = prompts.to_table(columns=["prompt_id"])["prompt_id"].to_pylist()
    return preparation.split_prompts(ids, settings, seed)
