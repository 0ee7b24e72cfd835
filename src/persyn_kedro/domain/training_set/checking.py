"""Check generated answers against their prompts' references."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.quality.checking import check_quality, stored_quality
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.training_set.routed import Check, Texts
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.settings.steps import QualitySettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import TableRows

EXACT = QualitySettings(kind="exact_answer")


def exact_checker(
    prompts: pads.Dataset, thinks: dict[str, Think], store: QualityStore, texts: Texts
) -> Check:
    """Return a function that checks responses to prompts with a reference, and skips the others.

    Args:
        prompts: ``schemas.PROMPTS`` or ``SOURCE_PROMPTS``, read block by block.
        thinks: each teacher's ``think`` setting.
        texts: reads the texts of OUTCOMES; ``pa.Table.to_batches`` for RESPONSES, which have them.
    """
    names = {"prompt_id": pads.field("prompt_id"), "known": pads.field("reference").is_valid()}
    table = prompts.to_table(columns=names)
    with_reference = table["prompt_id"].filter(table["known"])
    rows = np.flatnonzero(table["known"])
    columns = TableRows(prompts, schemas.SOURCE_PROMPTS.names)

    def check(outcomes: pa.Table) -> pa.Table:
        places = pc.index_in(outcomes["prompt_id"], value_set=with_reference)
        checkable, places = outcomes.filter(pc.is_valid(places)), pc.drop_null(places).to_numpy()
        found = [schemas.QUALITY.empty_table()]
        stored = stored_quality(EXACT, None, store) if len(checkable) else None
        for batch in texts(checkable):
            own, places = np.unique(places[: len(batch)]), places[len(batch) :]
            block = {row["prompt_id"]: row for row in columns.take(rows[own]).to_pylist()}
            responses = pa.Table.from_batches([batch])
            found.append(check_quality(responses, block, thinks, EXACT, None, store, stored))
        return pa.concat_tables(found)

    return check
