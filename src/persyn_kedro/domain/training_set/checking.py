"""Checking generated answers against the references that their prompts carry."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.stores.quality_store import QualityStore
from persyn_kedro.domain.training_set.routed import Check
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.model_parameters import Think
from persyn_kedro.foundations.step_parameters import QualitySettings


def exact_checker(
    prompts: Mapping[str, dict[str, Any]], thinks: dict[str, Think], store: QualityStore
) -> Check:
    """Return what checks responses to prompts that have a reference, and leaves out the others.

    Args:
        prompts: rows of ``schemas.PROMPTS`` by prompt_id.
        thinks: each teacher's ``think`` setting.
    """
    with_reference = {p: row for p, row in prompts.items() if row["reference"] is not None}

    def check(responses: pa.Table) -> pa.Table:
        mask = [p in with_reference for p in responses["prompt_id"].to_pylist()]
        checkable = responses.filter(pa.array(mask, pa.bool_()))
        if not len(checkable):
            return schemas.QUALITY.empty_table()
        exact = QualitySettings(kind="exact_answer")
        return check_quality(checkable, with_reference, thinks, exact, None, store)

    return check
