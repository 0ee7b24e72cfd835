"""Tables of routers' scores and choices."""

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
    one_of,
    scores,
    share,
    standard_errors,
    text,
)

ASSIGNMENTS = Table(
    "assignments",
    ["prompt_id"],
    [
        hex_id("prompt_id"),
        text("teacher"),
        scores(),
        Column(
            "margin",
            pa.float32(),
            "best score minus second best",
            "must be finite and 0 or more",
            lambda s: (s >= 0) & (s < float("inf")),
        ),
        standard_errors(),
    ],
    [
        Between(
            "standard_errors",
            "must be null or have the length of scores",
            lambda f: (
                f["standard_errors"].isna()
                | (f["standard_errors"].list.len() == f["scores"].list.len())
            ),
        )
    ],
)
# Why train prompts get an answer or not; without rows all do. A pass rate is the mean quality of
# the student's own answers.
FOCUS = Table(
    "focus",
    ["prompt_id"],
    [
        hex_id("prompt_id"),
        one_of("why", "kept", "solved", "off_frontier", "later_round", "earlier_round"),
        count("answers", pa.int32(), "of the student, of known quality", null=True),
        share("pass_rate", "null if the student was not asked, or no quality is known"),
    ],
)
# The scores of compared strategies whose router or reward is another one.
VARIANT_SCORES = Table(
    "variant_scores", ["strategy", "prompt_id"], [text("strategy"), hex_id("prompt_id"), scores()]
)
# Router comparison: scores of each prompt by a router that was not fitted on it.
ROUTER_SCORES = Table(
    "router_scores",
    ["kind", "size", "repeat", "prompt_id"],
    [
        text("kind", "or the name in compare_routers.routers"),
        share("size", "of the other folds' prompts, that the router was fitted on"),
        count("fitted_on", pa.int64(), "those with two valid teachers"),
        count("fold", pa.int32()),
        hex_id("prompt_id"),
        scores(),
        count("repeat", pa.int32(), "of the cross-validation", null=True),
    ],
)
_AMOUNTS = {
    "reward": "per prompt; 0 if invalid",
    "reward_lost": "per prompt, to the router at cost weight 0",
    "tokens": "per prompt, of prompt and answer",
    "completion_tokens": "per prompt",
    "cost": "per prompt, by the prices",
}
# What routing with other cost weights would give and take, on the calibration prompts.
FRONTIER = Table(
    "frontier",
    ["policy", "name", "cost_weight"],
    [
        one_of("policy", "router", "nested", "oracle", "teacher", "random"),
        text("name"),
        finite("cost_weight", "null if there is none"),
        count("prompts", pa.int64()),
        given("kept", pa.bool_(), "the cheapest weight that keeps compare.kept_reward"),
        anything("setting", pa.string(), "what gives this point; null if no setting does"),
        *(
            finite(f"{name}{end}", meaning)
            for name, meaning in _AMOUNTS.items()
            for end in ("", "_low", "_high")
        ),
    ],
)
STORED_SCORES = pa.schema([("prompt_id", pa.string()), ("scores", pa.list_(pa.float32()))])

TABLES = [ASSIGNMENTS, FOCUS, VARIANT_SCORES, ROUTER_SCORES, FRONTIER]
