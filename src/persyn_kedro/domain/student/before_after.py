"""The student before and after fine-tuning, as a model."""

from pathlib import Path

from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model, resolve_models
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.student import StudentSettings


def untrained(models: Models, student: StudentSettings) -> ResolvedModel:
    """Return the student before training."""
    return resolve_models(models, [student.model])[student.model]


def trained(models: Models, student: StudentSettings, directory: Path) -> ResolvedModel:
    """Return the student in ``directory``, with the original's dtype and think.

    It also runs as the original does: with its settings for vLLM, on as many GPUs and copies.
    """
    origin = models.root[student.model]
    settings = ModelSettings(
        local=str(directory),
        dtype=origin.dtype,
        think=origin.think,
        allow_remote_code=origin.allow_remote_code,
        vllm=origin.vllm,
        tensor_parallel_size=origin.tensor_parallel_size,
        pipeline_parallel_size=origin.pipeline_parallel_size,
        replicas=origin.replicas,
        accelerator=origin.accelerator,
    )
    return resolve_model(f"{student.model} after training", settings)


def before_or_after(
    models: Models, student: StudentSettings, directory: Path | None
) -> ResolvedModel:
    """Return the student trained in ``directory``; without one, the original."""
    return trained(models, student, directory) if directory else untrained(models, student)
