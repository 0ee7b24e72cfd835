"""What the steps that train a model have in common."""

import logging
from collections.abc import Iterable
from typing import Any

log = logging.getLogger(__name__)


def whole_curve(
    curve: Iterable[dict[str, Any]], count: int, rows: str, longest: str, tokens: int
) -> list[dict[str, Any]]:
    """Return a training's curve once it has ended; warn of rows that were too long for it.

    Args:
        curve: its first row has ``left_out``, how many of the rows were.
        count: how many there were.
        rows: what they are called.
        longest: the setting that limits them to ``tokens``.
    """
    found = list(curve)
    if left_out := found[0]["left_out"]:
        log.warning(
            "Left out %d of %d %s, longer than %s = %d tokens",
            left_out,
            count,
            rows,
            longest,
            tokens,
        )
    return found
