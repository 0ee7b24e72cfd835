"""How good the answers are that each strategy's students are trained on, by kind of prompt."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

VERSION = 1  # raise it when the same inputs give another result


def taught_by_kind(
    examples: pa.Table, responses: pa.Table, kinds: Mapping[str, str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return ``{strategy: {kind: {"known": number of examples, "quality": their mean}}}``.

    Examples whose quality is unknown are left out, and so are kinds without any other.

    Args:
        examples: rows of ``schemas.STRATEGY_EXAMPLES``.
        responses: rows of ``schemas.STRATEGY_RESPONSES``, with their quality by the references.
        kinds: each prompt's source, by prompt_id.
    """
    columns = ["strategy", "prompt_id", "response_key"]
    known = {
        tuple(row[name] for name in columns): row["quality"]
        for row in responses.select([*columns, "quality"]).to_pylist()
        if row["quality"] is not None
    }
    found: dict[str, defaultdict[str, list[float]]] = {}
    for row in examples.select(columns).to_pylist():
        own = found.setdefault(row["strategy"], defaultdict(list))
        quality = known.get(tuple(row[name] for name in columns))
        if quality is not None:
            own[kinds[row["prompt_id"]]].append(quality)
    return {
        name: {
            kind: {"known": len(own[kind]), "quality": sum(own[kind]) / len(own[kind])}
            for kind in sorted(own)
        }
        for name, own in found.items()
    }
