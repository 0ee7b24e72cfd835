"""Check generated answers against their prompts' references, or as ``label.quality`` judges."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.quality.exact_answer import ExactAnswer
from persyn_kedro.domain.quality.kinds import scorer_of
from persyn_kedro.domain.quality.scorer import Scorer
from persyn_kedro.domain.quality.verifier import EXACT
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.domain.training_set.routed import Check, Texts
from persyn_kedro.foundations.settings.label import QualitySettings, QualityTerm
from persyn_kedro.foundations.settings.models import Models, Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.rows import TableRows

Quality = QualitySettings | Sequence[QualityTerm]


def quality_checker(
    prompts: pads.Dataset,
    thinks: dict[str, Think],
    store: QualityStore,
    texts: Texts,
    scorer: Scorer = EXACT,
) -> Check:
    """Return a function that judges responses; exact answers only where a reference is known.

    Its table notes how many another run may be able to judge (``unsettled_rows``).

    ``quality.verifier_of`` has the scorer that tells right from wrong.

    Args:
        prompts: ``schemas.PROMPTS`` or ``SOURCE_PROMPTS``, read block by block.
        thinks: each teacher's ``think`` setting.
        texts: reads the texts of OUTCOMES; ``pa.Table.to_batches`` for RESPONSES, which have them.
    """
    known = pads.field("reference").is_valid() if scorer is EXACT else pads.scalar(True)
    table = prompts.to_table(columns={"prompt_id": pads.field("prompt_id"), "known": known})
    judged_ids = table["prompt_id"].filter(table["known"])
    rows = np.flatnonzero(table["known"])
    columns = TableRows(prompts, schemas.SOURCE_PROMPTS.names)

    def check(outcomes: pa.Table) -> pa.Table:
        places = pc.index_in(outcomes["prompt_id"], value_set=judged_ids)
        checkable, places = outcomes.filter(pc.is_valid(places)), pc.drop_null(places).to_numpy()
        found = [schemas.QUALITY.empty_table()]
        stored = scorer.stored(store) if len(checkable) else None
        for batch in texts(checkable):
            own, places = np.unique(places[: len(batch)]), places[len(batch) :]
            block = {row["prompt_id"]: row for row in columns.take(rows[own]).to_pylist()}
            responses = pa.Table.from_batches([batch])
            found.append(check_quality(responses, block, thinks, scorer, store, stored))
        again = sum(schemas.unsettled_rows(each.schema) for each in found)
        return schemas.with_unsettled(pa.concat_tables(found), again)

    return check


def label_judge(
    prompts: pads.Dataset,
    thinks: dict[str, Think],
    store: QualityStore,
    texts: Texts,
    quality: Quality,
    models: Models,
    calls: Asking,
) -> Check | None:
    """Return ``quality_checker`` as ``label.quality`` says, None if that is by the references."""
    scorer = scorer_of(quality, models, calls)
    if isinstance(scorer, ExactAnswer):
        return None
    return quality_checker(prompts, thinks, store, texts, scorer)
