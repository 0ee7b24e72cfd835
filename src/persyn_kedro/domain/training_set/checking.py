"""Check generated answers against their prompts' references, or as ``label.quality`` judges."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.quality.checking import check_quality, stored_quality
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.training_set.routed import Check, Texts
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_models
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.settings.models import Models, Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import TableRows

EXACT = QualitySettings(kind="exact_answer")


def quality_checker(
    prompts: pads.Dataset,
    thinks: dict[str, Think],
    store: QualityStore,
    texts: Texts,
    quality: QualitySettings = EXACT,
    reward_model: ResolvedModel | None = None,
) -> Check:
    """Return a function that judges responses; exact answers only where a reference is known.

    Args:
        prompts: ``schemas.PROMPTS`` or ``SOURCE_PROMPTS``, read block by block.
        thinks: each teacher's ``think`` setting.
        texts: reads the texts of OUTCOMES; ``pa.Table.to_batches`` for RESPONSES, which have them.
        reward_model: if that is the judge.
    """
    known = pads.field("reference").is_valid() if quality.kind == EXACT.kind else pads.scalar(True)
    table = prompts.to_table(columns={"prompt_id": pads.field("prompt_id"), "known": known})
    judged_ids = table["prompt_id"].filter(table["known"])
    rows = np.flatnonzero(table["known"])
    columns = TableRows(prompts, schemas.SOURCE_PROMPTS.names)

    def check(outcomes: pa.Table) -> pa.Table:
        places = pc.index_in(outcomes["prompt_id"], value_set=judged_ids)
        checkable, places = outcomes.filter(pc.is_valid(places)), pc.drop_null(places).to_numpy()
        found = [schemas.QUALITY.empty_table()]
        stored = stored_quality(quality, reward_model, store) if len(checkable) else None
        for batch in texts(checkable):
            own, places = np.unique(places[: len(batch)]), places[len(batch) :]
            block = {row["prompt_id"]: row for row in columns.take(rows[own]).to_pylist()}
            responses = pa.Table.from_batches([batch])
            found.append(
                check_quality(responses, block, thinks, quality, reward_model, store, stored)
            )
        return pa.concat_tables(found)

    return check


def label_judge(
    prompts: pads.Dataset,
    thinks: dict[str, Think],
    store: QualityStore,
    texts: Texts,
    quality: QualitySettings,
    models: Models,
) -> Check | None:
    """Return ``quality_checker`` as ``label.quality`` says, None if that is by the references."""
    if quality.kind == EXACT.kind:
        return None
    name = quality.model
    reward_model = resolve_models(models, [name])[name] if name else None
    return quality_checker(prompts, thinks, store, texts, quality, reward_model)
