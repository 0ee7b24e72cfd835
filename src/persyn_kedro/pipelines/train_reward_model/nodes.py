"""Train a reward model on the calibration answers whose correctness is known."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import mean_over_prompts
from persyn_kedro.domain.prompts import CALIBRATION, select_rows
from persyn_kedro.domain.quality import reward_model_scores
from persyn_kedro.domain.reward_model import (
    check_pairs,
    preference_accuracy,
    preference_pairs,
    train_reward_model_job,
)
from persyn_kedro.domain.training_set import build_sft_dataset
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import resolve_model, resolve_models
from persyn_kedro.foundations.processes import run_in_child
from persyn_kedro.foundations.settings import (
    Models,
    ModelSettings,
    Needs,
    Teachers,
    TrainRewardModelSettings,
    step,
    thinks_of,
)
from persyn_kedro.foundations.tables import PROMPT, prompt_of
from persyn_kedro.pipelines.training import whole_curve


@step(
    versions_of=(preference_pairs, build_sft_dataset),
    settings=("pairs_per_prompt",),
)
def pair_answers(
    calibration_responses: pads.Dataset,
    quality: pads.Dataset,
    prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    settings: TrainRewardModelSettings,
    seed: int,
) -> pa.Table:
    """Return pairs of a right and a wrong answer (``schemas.PREFERENCE_PAIRS``).

    Raises:
        PersynError: no prompt to fit on has both a right and a wrong answer.
    """
    pairs = preference_pairs(
        calibration_responses.to_table(),
        quality.to_table(),
        select_rows(prompts, CALIBRATION, columns=["prompt_id", *PROMPT, "part"]),
        thinks_of(models, teachers),
        settings.pairs_per_prompt,
        seed,
    )
    if not pc.any(pc.equal(pairs["part"], "fit")).as_py():
        raise PersynError(
            "No calibration prompt to fit on has both a right and a wrong answer, so no reward "
            "model can be trained: add prompts, or teachers of other strength."
        )
    return pairs


@step(
    versions_of=(train_reward_model_job, reward_model_scores),
    needs=Needs.TRAINER,
    check=check_pairs,
)
def train_reward_model(
    preference_pairs: pads.Dataset,
    models: Models,
    settings: TrainRewardModelSettings,
    seed: int,
    workspace: Path,
) -> tuple[list[dict[str, Any]], Path]:
    """Return the training curve and the reward model's directory, in this order (see ``sft``)."""
    rows = preference_pairs.to_table(filter=pc.field("part") == "fit").to_pylist()
    curve = run_in_child(
        train_reward_model_job,
        [
            {"prompt": prompt_of(row), "chosen": row["chosen"], "rejected": row["rejected"]}
            for row in rows
        ],
        resolve_models(models, [settings.model])[settings.model],
        settings,
        seed,
        workspace,
        label="training the reward model",
    )
    longest = "train_reward_model.max_length", settings.max_length
    # The model exists once the curve has ended.
    return whole_curve(curve, len(rows), "pairs", *longest), workspace / "model"


@step(
    versions_of=(preference_accuracy, mean_over_prompts, reward_model_scores),
    needs=Needs.MODEL,
    settings=("model", "confidence"),
)
def measure_reward_model(
    directory: Path,
    preference_pairs: pads.Dataset,
    models: Models,
    settings: TrainRewardModelSettings,
    seed: int,
) -> dict[str, Any]:
    """Return how often the reward model is right on prompts it was not trained on."""
    rows = preference_pairs.to_table(filter=pc.field("part") == "holdout").to_pylist()
    origin = models.root[settings.model]
    local = ModelSettings(
        local=str(directory), dtype=origin.dtype, allow_remote_code=origin.allow_remote_code
    )
    requests = [
        ((i, side), prompt_of(row), row[side])
        for i, row in enumerate(rows)
        for side in ("chosen", "rejected")
    ]
    model = resolve_model("the new reward model", local)
    label = "scoring held-out pairs"
    with progress.watching(label, len(requests), "answers judged") as watch:
        scores = run_in_child(reward_model_scores, requests, model, label=label)
        found = dict(watch.each(scores)) if requests else {}
    return preference_accuracy(
        [row["prompt_id"] for row in rows],
        [found[i, "chosen"] for i in range(len(rows))],
        [found[i, "rejected"] for i in range(len(rows))],
        [(len(row["chosen"]), len(row["rejected"])) for row in rows],
        settings.confidence,
        seed,
    )
