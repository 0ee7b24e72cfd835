"""Tables of prompts."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import Between, Table, anything, hex_id, one_of, text

_PLACES = ["calibration/fit", "calibration/holdout", "train/sft", "train/withheld", "test/"]

PROMPTS = Table(
    "prompts",
    ["prompt_id"],
    [
        hex_id("prompt_id", "foundations.hashing.text_id of the prompt"),
        text("prompt"),
        anything("reference", pa.string(), "null where none is known"),
        text("source", "file name, hub id or reasoning-gym task"),
        anything("metadata", pa.string(), "JSON: a reasoning-gym entry, or null"),
    ],
)
TEST_SET = Table("test_set", PROMPTS.key, PROMPTS.columns)
SPLITS = Table(
    "splits",
    ["prompt_id"],
    [
        hex_id("prompt_id"),
        one_of("split", "calibration", "train", "test"),
        anything("part", pa.string(), "fit | holdout, sft | withheld, null of test"),
    ],
    [
        Between(
            "part",
            "must be fit or holdout in calibration, sft or withheld in train and null in test",
            lambda f: (f["split"] + "/" + f["part"].fillna("")).isin(_PLACES),
        )
    ],
)
# The prompts that every teacher answers.
CALIBRATION_SET = Table("calibration_set", ["prompt_id"], [hex_id("prompt_id"), text("prompt")])

TABLES = [PROMPTS, TEST_SET, SPLITS, CALIBRATION_SET]
