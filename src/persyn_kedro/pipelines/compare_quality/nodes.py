"""Judge the stored calibration answers in several ways, and compare these."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import Labelled
from persyn_kedro.domain.intervals import mean_over_prompts, spearman
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.prompts import find_rows
from persyn_kedro.domain.quality import (
    Judge,
    check_terms,
    reward_model_scores,
    scorer_of,
    self_judged,
)
from persyn_kedro.domain.quality_comparison import (
    check_kinds,
    compare_judgements,
    kinds_of,
    order_agreement,
    same_choices,
)
from persyn_kedro.domain.reporting import judge_notes, judgements_text
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.signal_comparison import best_teachers
from persyn_kedro.domain.stores import QualityStore, ResponseStore
from persyn_kedro.domain.teachers import Asking, Ledger
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    CompareQualitySettings,
    EngineSettings,
    LabelSettings,
    Models,
    Needs,
    StudentSettings,
    Teachers,
    asks_judge,
    step,
    thinks_of,
)


@step(
    versions_of=(reward_model_scores, Judge),
    needs=Needs.JUDGE,
    needs_if={asks_judge: Needs.TEACHERS},
    only_if={asks_judge: ("engine", "seed", "response_store", "ledger")},
    check=check_kinds,
    label=("quality",),
    settings=("kinds",),
)
def judge_answers(
    calibration_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    settings: CompareQualitySettings,
    quality_store: QualityStore,
    engine: EngineSettings,
    seed: int,
    response_store: ResponseStore,
    ledger: Ledger,
) -> pa.Table:
    """Return the calibration answers' quality by each way (``schemas.QUALITY_TERMS``)."""
    responses = calibration_responses.to_table()
    prompts = find_rows(source_prompts, responses["prompt_id"])
    calls = Asking(response_store, engine, seed, ledger)
    ways = kinds_of(settings, label, list(prompts.values()))
    return check_terms(
        responses,
        prompts,
        thinks_of(models, teachers),
        {name: scorer_of(way, models, calls) for name, way in ways.items()},
        quality_store,
    )


@step(
    2,
    versions_of=(
        compare_judgements, order_agreement, same_choices, best_teachers, spearman,
        mean_over_prompts, compute_rewards, signal_of, judge_notes,
    ),
    only_if={asks_judge: ("label.quality", "settings.kinds", "student")},
    prints={judgements_text: ("quality_comparison",)},
    label=REWARD_FIELDS,
    settings=("resamples", "confidence"),
    student=("model",),
)  # fmt: skip
def compare_kinds(
    judgements: pads.Dataset,
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    models: Models,
    teachers: Teachers,
    label: LabelSettings,
    settings: CompareQualitySettings,
    seed: int,
    student: StudentSettings,
) -> dict[str, Any]:
    """Return how far the ways of judging agree, and what each would have routed.

    Its notes say how each judge's verdicts came about, and which judge judges its own answers.
    """
    table = judgements.to_table()
    labelled = Labelled(
        calibration_responses.to_table(),
        token_statistics.to_table(),
        table.drop_columns(["term"]),
        list(teachers.root),
        label,
    )
    found = compare_judgements(table, thinks_of(models, teachers), labelled, settings, seed)
    ways = settings.ways_by_key or label.ways_by_key
    found["notes"] += judge_notes(table)
    found["notes"] += self_judged(models, teachers, ways, student.model)
    return found
