"""Tables of prompts."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import Between, Table, anything, hex_id, one_of, text
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
        anything("metadata", pa.string(), "JSON: a reasoning-gym entry, or null"),
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
# Only ids, which are hashes of the texts: a change in other prompts does not redo what uses them.
CALIBRATION_SET = Table("calibration_set", ["prompt_id"], [hex_id("prompt_id")])
TEST_SET = Table("test_set", ["prompt_id"], [hex_id("prompt_id")])

TABLES = [SOURCE_PROMPTS, PROMPTS, CALIBRATION_SET, TEST_SET]
