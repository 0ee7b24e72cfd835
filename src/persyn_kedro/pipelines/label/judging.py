"""How good the calibration answers are, by all that judges them."""

import logging

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts import find_rows
from persyn_kedro.domain.quality import (
    Judge,
    check_quality,
    check_terms,
    reward_model_scores,
    scorer_of,
    self_judged,
)
from persyn_kedro.domain.rewards import combine_terms
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.teachers import Asking, Ledger
from persyn_kedro.foundations.settings import (
    EngineSettings,
    LabelSettings,
    Models,
    Needs,
    StudentSettings,
    Teachers,
    asks_judge,
    has_terms,
    step,
    thinks_of,
)
from persyn_kedro.foundations.tables import QUALITY_TERMS

log = logging.getLogger(__name__)
_OF_JUDGE = ("engine", "seed", "response_store", "ledger")  # what its calls need


@step(
    versions_of=(reward_model_scores, Judge),
    needs=Needs.JUDGE,
    needs_if={asks_judge: Needs.TEACHERS},
    only_if={
        has_terms: (
            "calibration_responses", "source_prompts", "models", "teachers", "settings",
            "quality_store",
        ),
        asks_judge: _OF_JUDGE,
    },
    settings=("quality",),
)  # fmt: skip
def score_quality_terms(
    calibration_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    settings: LabelSettings,
    quality_store: QualityStore,
    engine: EngineSettings,
    seed: int,
    response_store: ResponseStore,
    ledger: Ledger,
) -> pa.Table:
    """Return each response's quality by each term; empty if quality is judged in one way."""
    if not settings.terms:
        return QUALITY_TERMS.empty_table()
    calls = Asking(response_store, engine, seed, ledger)
    responses = calibration_responses.to_table()
    return check_terms(
        responses,
        find_rows(source_prompts, responses["prompt_id"]),
        thinks_of(models, teachers),
        {term.called: scorer_of(term, models, calls) for term in settings.terms},
        quality_store,
    )


def _warn_of_self(
    models: Models, teachers: Teachers, label: LabelSettings, student: StudentSettings
) -> None:
    """Log, before an answer is judged, which judge judges its own answers or the student's."""
    for note in self_judged(models, teachers, label.ways_by_key, student.model):
        log.warning("%s", note)


@step(
    versions_of=(reward_model_scores, combine_terms, Judge),
    check=_warn_of_self,
    needs=Needs.JUDGE,
    needs_if={asks_judge: Needs.TEACHERS},
    only_if={
        has_terms: (
            "quality_terms", "settings.allow_truncated", "settings.normalise",
            "settings.unsolved",
        ),
        asks_judge: _OF_JUDGE,
    },
    settings=("quality",),
)  # fmt: skip
def score_quality(
    calibration_responses: pads.Dataset,
    quality_terms: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    settings: LabelSettings,
    quality_store: QualityStore,
    engine: EngineSettings,
    seed: int,
    response_store: ResponseStore,
    ledger: Ledger,
) -> pa.Table:
    """Return the quality of each response (``schemas.QUALITY``), of several terms their mean."""
    responses = calibration_responses.to_table()
    thinks = thinks_of(models, teachers)
    if settings.terms:
        return combine_terms(responses, quality_terms.to_table(), thinks, settings)
    return check_quality(
        responses,
        find_rows(source_prompts, responses["prompt_id"]),
        thinks,
        scorer_of(settings.quality, models, Asking(response_store, engine, seed, ledger)),
        quality_store,
    )
