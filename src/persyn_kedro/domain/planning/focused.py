"""The prompts of a plan without those that get no answer, once that is known."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.planning.calls import Prompts
from persyn_kedro.domain.prompts.left_out import FOCUS_KEY, KEPT


def focused_prompts(
    prompts: Prompts, focus: pads.Dataset | None, wanted: str
) -> tuple[Prompts, pa.Table | None]:
    """Return the prompts without those that get no answer, and the rows of ``schemas.FOCUS``.

    These are None, and the prompts all of them, if ``focus`` was not made by the settings with the
    identity ``wanted``, or lacks a train prompt.
    """
    if focus is None or (focus.schema.metadata or {}).get(FOCUS_KEY) != wanted.encode():
        return prompts, None
    table = focus.to_table()
    table = table.filter(pc.is_in(table["prompt_id"], value_set=prompts.train))
    if len(table) < len(prompts.train):
        return prompts, None
    kept = table["prompt_id"].filter(pc.equal(table["why"], KEPT))
    asked = table["prompt_id"].filter(pc.is_valid(table["answers"])).combine_chunks()
    return replace(prompts, train=kept.combine_chunks(), checkable=asked), table
