"""Tables of prompts."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    Between,
    Table,
    anything,
    count,
    given,
    hex_id,
    one_of,
    share,
    text,
)
from persyn_kedro.foundations.tables.messages import kept_column, messages_column

_PLACES = ["calibration/fit", "calibration/holdout", "train/sft", "train/withheld", "test/"]

SOURCE_PROMPTS = Table(
    "source_prompts",
    ["prompt_id"],
    [
        hex_id("prompt_id", "foundations.prompts.prompt_id_of the prompt"),
        text("prompt", "of a conversation, a transcript"),
        anything("reference", pa.string(), "null if unknown"),
        text("source", "name in prepare.sources, or file name, hub id or reasoning-gym task"),
        anything(
            "metadata",
            pa.string(),
            "JSON: a reasoning-gym entry, or alternatives and tests; or null",
        ),
        messages_column(),
        kept_column(),
    ],
)
PROMPTS = Table(
    "prompts",
    SOURCE_PROMPTS.key,
    [
        *SOURCE_PROMPTS.columns,
        one_of("split", "calibration", "train", "test"),
        anything("part", pa.string(), "fit | holdout, sft | withheld, null for test"),
    ],
    [
        Between(
            "part",
            "must be fit or holdout in calibration, sft or withheld in train and null in test",
            lambda f: (f["split"] + "/" + f["part"].fillna("")).isin(_PLACES),
        )
    ],
)
REPEATED_PROMPTS = Table(
    "repeated_prompts",
    ["prompt_id"],
    [
        hex_id("prompt_id"),
        count("copies", pa.int64(), "further rows with exactly this prompt, not in source_prompts"),
    ],
)
DROPPED_PROMPTS = Table(
    "dropped_prompts",
    ["prompt_id", "reason"],
    [
        hex_id("prompt_id", "a prompt of source_prompts; of an exact duplicate, the kept one's"),
        one_of("reason", "duplicate", "length", "language", "contaminated", "near_duplicate"),
        count("copies", pa.int64(), "rows dropped: 1, or more of an exact duplicate"),
        given("source", pa.string(), "of the prompt"),
        given(
            "place", pa.string(), "split/part that the prompt has or would have: train/sft, test"
        ),
        given("excerpt", pa.string(), "beginning of the prompt"),
        given("match", pa.string(), "prompt_id that is kept; test set, row; language; or length"),
        anything("match_excerpt", pa.string(), "beginning of the prompt that it matches, if any"),
        share(
            "similarity",
            "near_duplicate: estimated share of common n-grams; contaminated: share of the test "
            "prompt's words in common n-grams; language: its probability; else null",
        ),
    ],
)
# Only ids, which are hashes of the texts: a change in other prompts does not redo what uses them.
CALIBRATION_SET = Table("calibration_set", ["prompt_id"], [hex_id("prompt_id")])
TEST_SET = Table("test_set", ["prompt_id"], [hex_id("prompt_id")])

TABLES = [SOURCE_PROMPTS, PROMPTS, REPEATED_PROMPTS, DROPPED_PROMPTS, CALIBRATION_SET, TEST_SET]
