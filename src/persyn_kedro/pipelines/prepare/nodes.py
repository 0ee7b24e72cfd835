"""Read, check, clean and split the prompts."""

from collections import Counter

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.cleaning import (
    check_against,
    check_language,
    dropped_ids,
    screen_prompts as screen,
)
from persyn_kedro.domain.prompts import (
    mix_sources,
    prepare_prompts,
    read_rows,
    repeated_prompts,
    split_prompts as draw_splits,
)
from persyn_kedro.foundations.settings import CLEANING, PrepareSettings, cleans, step
from persyn_kedro.foundations.tables import SOURCE_PROMPTS, read_blocks

_FRACTIONS = (
    "calibration_fraction",
    "test_fraction",
    "holdout_fraction",
    "withheld_fraction",
)


@step(
    versions_of=(read_rows, prepare_prompts, mix_sources),
    settings=("source", "sources", "limit"),
)
def read_prompts(
    settings: PrepareSettings, seed: int
) -> tuple[pa.RecordBatchReader, pa.RecordBatchReader]:
    """Return the checked prompts without duplicates, and which were repeated, both streamed.

    These are ``schemas.SOURCE_PROMPTS`` and ``REPEATED_PROMPTS``, to be read in this order.
    """
    repeats: Counter[str] = Counter()
    if settings.source is None:
        prompts = mix_sources(settings, seed, repeats)
    else:
        prompts = prepare_prompts(read_rows(settings.source, seed), repeats)
    return prompts, repeated_prompts(repeats)


def check_cleaning(prepare: PrepareSettings) -> None:
    """Refuse test sets and languages that clearly are not there.

    Raises:
        PersynError: names the first.
    """
    check_against(prepare)
    check_language(prepare)


@step(
    versions_of=(screen, draw_splits, read_rows),
    check=check_cleaning,
    settings=("source", "sources", *_FRACTIONS, *CLEANING),
)
def screen_prompts(
    source_prompts: pads.Dataset,
    repeated_prompts: pads.Dataset,
    settings: PrepareSettings,
    seed: int,
) -> pa.Table:
    """Return the prompts that are dropped, and why (``schemas.DROPPED_PROMPTS``)."""
    return screen(source_prompts, repeated_prompts.to_table(), settings, seed)


@step(
    versions_of=(draw_splits,),
    only_if={cleans: ("dropped_prompts",)},
    settings=_FRACTIONS,
)
def split_prompts(
    source_prompts: pads.Dataset,
    dropped_prompts: pads.Dataset,
    settings: PrepareSettings,
    seed: int,
) -> pa.RecordBatchReader:
    """Return the prompts with split and part, streamed (``schemas.PROMPTS``)."""
    gone = dropped_ids(dropped_prompts)
    return draw_splits(read_blocks(source_prompts, SOURCE_PROMPTS.names), settings, seed, gone)
