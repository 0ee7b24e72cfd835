"""Tables of routers' scores and choices."""

import pyarrow as pa

from persyn_kedro.foundations.tables.declare import (
    Column,
    Table,
    count,
    hex_id,
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

TABLES = [ASSIGNMENTS, ALPHA_SCORES, ROUTER_SCORES]
