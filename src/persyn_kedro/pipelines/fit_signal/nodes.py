"""Try signals of learnability on small adapters, with answers that are paid for already."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison import Labelled, Setup, Trainable, run_trials, strategy_examples
from persyn_kedro.domain.intervals import certainty, joint_level_of_differences, mean_over_prompts
from persyn_kedro.domain.learnability import signal_of
from persyn_kedro.domain.prompts import find_rows, find_texts
from persyn_kedro.domain.quality import (
    Judge,
    can_judge,
    check_judged_alone,
    reward_model_scores,
    verifier_of,
)
from persyn_kedro.domain.reporting import constant_notes, signal_fit_text
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.signal_comparison import check_signals, hold_out, recommend, signal_sets
from persyn_kedro.domain.stores import QualityStore, ResponseStore, TrialStore
from persyn_kedro.domain.student import Exam, WithinLimit, fits, train_student_job, untrained
from persyn_kedro.domain.teachers import Ledger
from persyn_kedro.domain.training_set import build_sft_dataset
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import call_in_child
from persyn_kedro.foundations.settings import (
    REWARD_FIELDS,
    ClusterSettings,
    EngineSettings,
    EvaluateSettings,
    FitSignalSettings,
    LabelSettings,
    Models,
    Needs,
    SftSettings,
    StudentSettings,
    Teachers,
    asks_judge,
    check_precision,
    step,
    thinks_of,
)
from persyn_kedro.foundations.tables import TEST_SET


def _check(
    fit_signal: FitSignalSettings, sft: SftSettings, label: LabelSettings, cluster: ClusterSettings
) -> None:
    """Refuse signals that cannot be computed, and adapters that cannot be trained.

    Raises:
        PersynError: names the setting.
    """
    check_signals(fit_signal.signals, "fit_signal", label)
    cluster.check_adapter("fit_signal.lora", fit_signal.lora)
    try:
        check_precision(sft.precision, fit_signal.lora)
    except ValueError as error:
        raise PersynError(f"Parameter fit_signal: {error}.") from error


@step(
    versions_of=(
        signal_sets,
        strategy_examples,
        compute_rewards,
        signal_of,
        fits,
        build_sft_dataset,
    ),
    check=_check,
    texts=("source_prompts",),
    label=REWARD_FIELDS,
    sft=("max_length",),
    settings=("signals", "alphas", "teachers", "tokens", "held_out"),
)
def select_answers(
    calibration_set: pads.Dataset,
    calibration_responses: pads.Dataset,
    token_statistics: pads.Dataset,
    quality: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    sft: SftSettings,
    settings: FitSignalSettings,
    seed: int,
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Return the held-out prompts, each adapter's training set, and notes on the sets."""
    trained_on, held = hold_out(calibration_set.to_table()["prompt_id"].to_pylist(), settings, seed)
    short_enough = WithinLimit(untrained(models, student), student.system, sft.max_length)
    ids = pa.array(trained_on, pa.string())
    labelled = Labelled(
        calibration_responses.to_table(filter=pc.field("prompt_id").isin(ids)),
        token_statistics.to_table(),
        quality.to_table(),
        list(teachers.root),
        label,
    )
    examples, notes = call_in_child(
        signal_sets,
        labelled,
        dict(find_texts(source_prompts, pa.chunked_array([ids]))),
        Trainable(thinks_of(models, teachers), label.allow_truncated, short_enough),
        settings,
        label="training sets",
    )
    return pa.table({"prompt_id": held}, TEST_SET), examples, notes


@step(
    versions_of=(Setup, train_student_job, reward_model_scores, Judge),
    needs=Needs.TRAINER | Needs.PROCESSES | Needs.STUDENT | Needs.JUDGE,
    needs_if={asks_judge: Needs.TEACHERS},
    evaluate=("sampling",),
    label=("quality",),
    settings=("seeds", "lora"),
)
def train_adapters(
    signal_examples: pads.Dataset,
    signal_test_set: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    sft: SftSettings,
    evaluate: EvaluateSettings,
    engine: EngineSettings,
    label: LabelSettings,
    settings: FitSignalSettings,
    seed: int,
    response_store: ResponseStore,
    quality_store: QualityStore,
    trial_store: TrialStore,
    workspace: Path,
    ledger: Ledger,
) -> pa.Table:
    """Return the quality of the adapters' answers to held-out prompts (``schemas.TRIALS``).

    Raises:
        PersynError: no held-out prompt has a reference, and nothing else can judge answers.
    """
    held = list(find_rows(source_prompts, signal_test_set.to_table()["prompt_id"]).values())
    if not any(map(verifier_of(label.quality).judges, held)):
        check_judged_alone(label.quality, "adapters' answers are judged one by one")
    if not can_judge(held, label.quality):
        raise PersynError(
            "No held-out calibration prompt has a reference to check the adapters' answers "
            "against: raise fit_signal.held_out, add references, or set label.quality to "
            "{kind: reward_model, model: …}."
        )
    return run_trials(
        signal_examples.to_table(),
        Setup(
            models,
            sft.model_copy(update={"lora": settings.lora}),
            Exam(held, student, evaluate, engine, seed),
        ),
        settings.seeds,
        label.quality,
        (response_store, quality_store, trial_store),
        workspace,
        ledger,
    )


@step(
    versions_of=(
        recommend, certainty, joint_level_of_differences, mean_over_prompts, constant_notes,
    ),
    prints={signal_fit_text: ("signal_fit",)},
    settings=("resamples", "confidence"),
)  # fmt: skip
def recommend_signal(
    signal_trials: pads.Dataset,
    signal_notes: dict[str, Any],
    source_prompts: pads.Dataset,
    settings: FitSignalSettings,
    seed: int,
) -> dict[str, Any]:
    """Return the adapters' scores, and the signal and alpha to use."""
    trials = signal_trials.to_table()
    held = find_rows(source_prompts, trials["prompt_id"]).values()
    found = recommend(trials, signal_notes, settings, seed)
    return {**found, "notes": [*found["notes"], *constant_notes(held, "held-out prompts")]}
