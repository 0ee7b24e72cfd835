"""Train the fine-tuned student on preferences, and compare it with the fine-tuned one."""

from pathlib import Path
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.reporting import students_text
from persyn_kedro.domain.student import prefer_job, trained
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import run_in_child
from persyn_kedro.foundations.prompts import as_prompt, from_rows
from persyn_kedro.foundations.settings import DpoSettings, Models, Needs, StudentSettings, step
from persyn_kedro.pipelines.training import whole_curve


@step(
    versions_of=(prefer_job,),
    needs=Needs.TRAINER,
    spoken={"preferred_student": "student trained on preferences"},
)
def train_on_preferences(
    preferences: pads.Dataset,
    models: Models,
    student: StudentSettings,
    settings: DpoSettings,
    seed: int,
    directory: Path,
    workspace: Path,
) -> tuple[list[dict[str, Any]], Path]:
    """Return the curve and the directory of the student in ``directory``, trained further.

    In this order, as the checkpoints are deleted once the student is saved.
    """
    rows = preferences.to_table(columns=["prompt", "chosen", "rejected"]).to_pylist()
    if not rows:
        raise PersynError(
            "No preferences to train on: no two valid calibration answers to a prompt differ "
            "enough in their score (export.preferences)."
        )
    curve = run_in_child(
        prefer_job,
        [
            {
                "prompt": as_prompt(from_rows(row["prompt"])),
                **{side: row[side][0]["content"] for side in ("chosen", "rejected")},
            }
            for row in rows
        ],
        trained(models, student, directory),
        settings,
        seed,
        workspace,
        label="training the student on preferences",
    )
    longest = "dpo.max_length", settings.max_length
    # The model exists once the curve has ended.
    return whole_curve(curve, len(rows), "pairs", *longest), workspace / "model"


@step(prints={students_text: ("student_comparison",)})
def compare_students(
    evaluation_metrics: dict[str, Any], dpo_metrics: dict[str, Any]
) -> dict[str, Any]:
    """Return the metrics of the student before and after fine-tuning, and after preferences."""
    return {"sft": evaluation_metrics, "dpo": dpo_metrics}
