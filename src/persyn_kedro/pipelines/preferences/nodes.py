"""Pairs of a better and a worse calibration answer, to publish or to train on."""

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.export import pair_preferences, scores_of_answers
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.prompts import find_texts
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.training_set import build_sft_dataset
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    ExportSettings,
    LabelSettings,
    Models,
    StudentSettings,
    Teachers,
    step,
    thinks_of,
)


@step(
    versions_of=(pair_preferences, compute_rewards, signal_of, build_sft_dataset),
    texts=("source_prompts",),
    student=("system",),
    label=REWARD_FIELDS,
    settings=("preferences",),
)
def prefer_answers(
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    settings: ExportSettings,
) -> pa.RecordBatchReader:
    """Return pairs of a better and a worse calibration answer (``schemas.PREFERENCES``)."""
    responses = calibration_responses.to_table()
    scored = scores_of_answers(
        responses,
        token_statistics.to_table(),
        quality.to_table(),
        list(teachers.root),
        label,
        settings.preferences,
    )
    return pair_preferences(
        scored,
        responses,
        dict(find_texts(source_prompts, scored["prompt_id"])),
        thinks_of(models, teachers),
        student.system,
        settings.preferences,
    )
