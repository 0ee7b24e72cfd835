"""Checking generated answers against the references that their prompts carry."""

from collections.abc import Mapping
from typing import Any

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
    prompts: Mapping[str, dict[str, Any]], thinks: dict[str, Think], store: QualityStore
) -> Check:
    """Return what checks responses to prompts that have a reference, and leaves out the others.

    Args:
        prompts: rows of ``schemas.SOURCE_PROMPTS`` by prompt_id.
        thinks: each teacher's ``think`` setting.
    """
    with_reference = {p: row for p, row in prompts.items() if row["reference"] is not None}

    def check(responses: pa.Table) -> pa.Table:
        mask = [p in with_reference for p in responses["prompt_id"].to_pylist()]
        checkable = responses.filter(pa.array(mask, pa.bool_()))
        if not len(checkable):
            return schemas.QUALITY.empty_table()
        return check_quality(checkable, with_reference, thinks, EXACT, None, store)

    return check


def streaming_checker(
    prompts: pads.Dataset, thinks: dict[str, Think], store: QualityStore, texts: Texts
) -> Check:
    """As ``exact_checker``, of OUTCOMES: their texts and the prompts are read block by block."""
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
