"""Which prompts get no answer, and why, as ``schemas.FOCUS`` says."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.route import FocusSettings

KEPT, SOLVED, OFF_FRONTIER = "kept", "solved", "off_frontier"
LATER, EARLIER = "later_round", "earlier_round"
PASSED_OVER = (SOLVED, OFF_FRONTIER)  # for their pass rate
LEFT_OUT = (*PASSED_OVER, LATER, EARLIER)
_WHY = {
    KEPT: "It gets an answer.",
    SOLVED: "It gets no answer: the student solves it.",
    OFF_FRONTIER: "It gets no answer: it was not drawn from the student's frontier.",
    LATER: "It gets no answer yet: a later round uses it.",
    EARLIER: "It gets no new answer: an earlier round used it.",
}
FOCUS_KEY = b"focus"


def prompts_left_out(focus: pads.Dataset) -> pa.Array:
    """Return the ids of the prompts that get no answer, of ``schemas.FOCUS``."""
    left_out = focus.to_table(columns=["prompt_id"], filter=pads.field("why") != KEPT)
    return left_out["prompt_id"].combine_chunks()


def passed_over(focus: pads.Dataset) -> pa.Array:
    """Return the ids of those that never get one, for their pass rate: later rounds are not it."""
    found = focus.to_table(columns=["prompt_id"], filter=pads.field("why").isin(PASSED_OVER))
    return found["prompt_id"].combine_chunks()


def without(ids: pa.Array | pa.ChunkedArray, left_out: pa.Array) -> np.ndarray:
    """Return the indices of the ids that are not left out, (m,)."""
    found = pc.is_in(ids, value_set=left_out)
    return np.flatnonzero(~found.to_numpy(zero_copy_only=False))


def focus_counts(focus: pa.Table, calls: float, tokens: float) -> dict[str, Any]:
    """Return how many prompts of ``schemas.FOCUS`` get no answer and why, and what that saves.

    Args:
        calls: of teachers to each prompt that gets an answer.
        tokens: of these answers together.
    """
    why = Counter(focus["why"].to_pylist())
    asked = focus.filter(pc.is_valid(focus["answers"]))
    gone = sum(why[name] for name in PASSED_OVER)
    return {
        **{name: why[name] for name in (KEPT, *LEFT_OUT)},
        "asked": len(asked),
        "answers": pc.sum(asked["answers"]).as_py() or 0,
        "mean_pass_rate": pc.mean(asked["pass_rate"]).as_py(),
        "saved_calls": gone * calls,
        "saved_tokens": gone * tokens,
    }


def focus_of(focus: pads.Dataset, prompt_id: str) -> str | None:
    """Return why a prompt gets an answer or not; None if ``schemas.FOCUS`` has no such prompt."""
    rows = focus.to_table(filter=pads.field("prompt_id") == prompt_id).to_pylist()
    if not rows:
        return None
    (row,) = rows
    rate = f" The student's pass rate: {row['pass_rate']:.3f}" if row["answers"] else ""
    return _WHY[row["why"]] + (f"{rate} (of {row['answers']} answers)." if rate else "")


def focus_identity(focus: FocusSettings, rounds: RoundsSettings, weights_id: str) -> str:
    """Return the identity of what decides which prompts are left out, besides the prompts."""
    settings = {"focus": focus.model_dump(mode="json"), "rounds": rounds.model_dump()}
    return settings_id({**settings, "weights_id": weights_id})
