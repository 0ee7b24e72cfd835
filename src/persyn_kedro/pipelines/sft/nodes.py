"""Fine-tune the student on the training set."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.student import before_or_after, train_student_job
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import train_together
from persyn_kedro.foundations.prompts import as_prompt, from_rows
from persyn_kedro.foundations.settings import Models, Needs, SftSettings, StudentSettings, step
from persyn_kedro.pipelines.training import whole_curve


@step(
    version=2,
    versions_of=(train_student_job,),
    needs=Needs.TRAINER | Needs.PROCESSES,
    spoken={"student": "fine-tuned student"},
)
def train_student(
    sft_dataset: pads.Dataset,
    models: Models,
    student: StudentSettings,
    settings: SftSettings,
    seed: int,
    workspace: Path,
    directory: Path | None = None,
) -> tuple[list[dict[str, Any]], Path]:
    """Return the training curve and the fine-tuned student's directory.

    In this order, as the checkpoints are deleted once the student is saved. Training starts from
    the student, or from the one trained in ``directory``.
    """
    rows = sft_dataset.to_table(filter=pc.field("part") == "sft").to_pylist()
    if not rows:
        raise PersynError("No rows to train on: every response was left out of sft_dataset.")
    curve = train_together(
        train_student_job,
        [
            {
                "prompt": as_prompt(from_rows(r["prompt"])),
                "response": r["completion"][0]["content"],
            }
            for r in rows
        ],
        before_or_after(models, student, directory),
        None,  # the rows have it
        settings,
        seed,
        workspace,
        checkpoints=workspace,
        sharded=True,
        label="fine-tuning the student",
    )
    longest = "sft.max_length", settings.max_length
    # The model exists once the curve has ended.
    return whole_curve(curve, len(rows), "training rows", *longest), workspace / "model"
