"""Tables of what answers are worth: the student's statistics, quality and rewards."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    Between,
    Column,
    Table,
    anything,
    count,
    finite,
    given,
    hex_id,
    share,
    text,
)

if TYPE_CHECKING:
    import pandas as pd

    Rule = Callable[[pd.DataFrame], Any]

LOGP_ROUNDING = 1e-6  # nats; float32 may round log-likelihoods above 0
SUM_ROUNDING = 1e-3  # per token; for sums of float32 probabilities

ANSWER = [hex_id("prompt_id"), text("teacher"), hex_id("response_key")]
SAMPLE = Column(
    "sample_index",
    pa.int32(),
    "of the responses; null, in tables from before there could be several: 0",
    "must be 0 or more",
    lambda s: s >= 0,
    True,
)
STATISTICS = [
    count("tokens", pa.int32(), "of the response; 0 if it is empty, then the rest is null"),
    anything("sum_logp", pa.float64(), "nats"),
    anything("sum_rank_100", pa.float64(), "sum of min(rank, 100), rank of the true token from 1"),
    anything("sum_p2", pa.float64(), "sum over positions of sum over vocabulary of p squared"),
    anything("sum_p_true", pa.float64()),
    anything("logp", pa.list_(pa.float16())),
    anything("local_logp", pa.float64(), "nats; null without label.local (METHOD.md, LALP)"),
]
_MOST = 1 + SUM_ROUNDING
# NaN passes if the model's own logits were NaN: such a response has no reward.
_SUMS: dict[str, tuple[str, "Rule"]] = {
    "sum_logp": ("must be 0 or less", lambda f: ~(f["sum_logp"] > LOGP_ROUNDING)),
    "sum_rank_100": (
        "must be from tokens to 100 tokens",
        lambda f: f["sum_rank_100"].between(f["tokens"], 100 * f["tokens"]),
    ),
    "sum_p2": (
        "must be from 0 to tokens",
        lambda f: ~((f["sum_p2"] < 0) | (f["sum_p2"] > _MOST * f["tokens"])),
    ),
    "sum_p_true": (
        "must be from 0 to tokens",
        lambda f: ~((f["sum_p_true"] < 0) | (f["sum_p_true"] > _MOST * f["tokens"])),
    ),
    "logp": (
        "must have one number per token",
        lambda f: (f["logp"].list.len() == f["tokens"]) & (f["tokens"] > 0),
    ),
}


def _as_logp(name: str) -> "Rule":
    return lambda frame: frame[name].isna() == frame["logp"].isna()


def _or_null(name: str, holds: "Rule") -> "Rule":
    return lambda frame: holds(frame) | frame[name].isna()


def _null_unless_valid(name: str) -> Between:
    return Between(name, "must be null if valid is false", lambda f: f[name].isna() | f["valid"])


def _number(name: str, meaning: str) -> Column:
    return Column(name, pa.float64(), meaning, "must not be NaN", lambda s: s == s, True)


TOKEN_STATISTICS = Table(
    "token_statistics",
    ["prompt_id", "teacher", "sample_index"],
    [*ANSWER, *STATISTICS, SAMPLE],
    [
        *(Between(n, "must be null exactly where logp is", _as_logp(n)) for n in _SUMS),
        *(Between(n, says, _or_null(n, holds)) for n, (says, holds) in _SUMS.items()),
    ],
)
STORED_STATISTICS = pa.schema(
    [("response_key", pa.string()), *((column.name, column.type) for column in STATISTICS)]
)
_QUALITY = finite("quality", "null if unknown")
QUALITY = Table("quality", ["prompt_id", "teacher", "sample_index"], [*ANSWER, _QUALITY, SAMPLE])
STORED_QUALITY = pa.schema(
    [("response_key", pa.string()), ("reference_id", pa.string()), ("quality", pa.float64())]
)
QUALITY_TERMS = Table(
    "quality_terms",
    ["prompt_id", "teacher", "sample_index", "term"],
    [*ANSWER, _QUALITY, SAMPLE, text("term", "its name in label.quality")],
)
REWARDS = Table(
    "rewards",
    ["prompt_id", "teacher"],
    [
        *ANSWER[:2],
        hex_id("response_key", "of the best sample; null if the teacher did not answer", null=True),
        _number("quality", "of the samples, as label.samples says; null if unknown"),
        _number("learnability", "in the signal's unit, such as nats per token"),
        share("quality_normalised"),
        share("learnability_normalised"),
        share("reward", "null if invalid"),
        given("valid", pa.bool_(), "whether any sample is"),
        SAMPLE,
        anything("valid_samples", pa.int32(), "that the terms are of"),
        _number("reward_sd", "standard deviation of the reward over them; null for less than two"),
    ],
    [
        Between(
            "reward",
            "must be set exactly when valid is true",
            lambda f: f["reward"].notna() == f["valid"],
        ),
        _null_unless_valid("quality_normalised"),
        _null_unless_valid("learnability_normalised"),
    ],
)

TABLES = [TOKEN_STATISTICS, QUALITY, QUALITY_TERMS, REWARDS]
