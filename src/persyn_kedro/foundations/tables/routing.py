"""Tables of routers' scores and choices."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    Column,
    Table,
    count,
    hex_id,
    one_of,
    scores,
    share,
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
# The router's scores at alphas other than label.alpha.
ALPHA_SCORES = Table(
    "alpha_scores", ["alpha", "prompt_id"], [share("alpha"), hex_id("prompt_id"), scores()]
)
# Router comparison: scores of each prompt by a router that was not fitted on it.
ROUTER_SCORES = Table(
    "router_scores",
    ["kind", "size", "prompt_id"],
    [
        text("kind"),
        share("size", "of the other folds' prompts, that the router was fitted on"),
        count("fitted_on", pa.int64(), "those with two valid teachers"),
        count("fold", pa.int32()),
        hex_id("prompt_id"),
        scores(),
    ],
)
STORED_SCORES = pa.schema([("prompt_id", pa.string()), ("scores", pa.list_(pa.float32()))])

TABLES = [ASSIGNMENTS, FOCUS, ALPHA_SCORES, ROUTER_SCORES]
