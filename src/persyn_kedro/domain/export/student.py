"""The student's card: a README.md with front matter for the hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from persyn_kedro.domain.export.dataset import PLACE
from persyn_kedro.domain.export.licences import front_matter
from persyn_kedro.domain.export.markdown import code, table
from persyn_kedro.domain.reporting import formatting as figures
from persyn_kedro.foundations.models.rendering import render
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.marks import lasting
from persyn_kedro.foundations.settings.student import SftSettings
from persyn_kedro.foundations.templates.fixed_date import CLOCK

_LORA = ("rank", "alpha", "dropout", "base")  # the first three are in a sentence of their own
TAGS = ["sft", "trl", "distillation", "persyn"]


def student_card(
    facts: dict[str, Any],
    metrics: dict[str, Any],
    settings: SftSettings,
    curve: list[dict[str, Any]],
    example: str,
    fixed: Mapping[str, Any] | None = None,
) -> str:
    """Return the card.

    Args:
        facts: as the step ``export`` collects them.
        metrics: ``evaluation_metrics``: accuracy and NLL before and after.
        curve: the training curve; its first item has ``left_out``.
        example: a training row with ``{prompt}`` and ``{response}`` as placeholders.
        fixed: what is fixed in the student's template (``templates.fixed_template.what_is_fixed``).
    """
    from huggingface_hub import ModelCard, ModelCardData

    student = facts["student"]
    data = ModelCardData(
        language=facts["language"] or None,
        **front_matter(student["licence"]["name"]),
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=student["hub"],
        base_model_relation="finetune" if student["hub"] else None,
        tags=TAGS,
        model_name=f"{student['model_setting']} after PerSyn",
        eval_results=_results(facts, metrics["accuracy"]),
    )
    card = ModelCard.from_template(
        data,
        template_path=str(Path(__file__).parent / "student_card.md.j2"),
        facts=facts,
        place=PLACE,
        code=code,
        example=example,
        fixed={("the date" if n == CLOCK else n): value for n, value in (fixed or {}).items()},
        scores=table(figures.STUDENT_COLUMNS, figures.student_rows(metrics)),
        metrics=metrics,
        confidence=figures.percent(metrics["accuracy"]["confidence"]),
        meaning={part: figures.in_words(terms) for part, terms in figures.MEANING.items()},
        settings=settings,
        told=_told(settings),
        steps=len(curve) - 1,
        last=curve[-1] if len(curve) > 1 else None,
        left_out=curve[0]["left_out"],
    )
    return str(card)


def _told(settings: SftSettings) -> dict[str, Any]:
    """Return what else TRL and PEFT were told, as far as it affects the student."""
    own = lasting(settings)
    lora = {
        f"LoRA's {key}": value for key, value in (own["lora"] or {}).items() if key not in _LORA
    }
    return {**lora, **own.get("trainer", {})}


def _results(facts: dict[str, Any], accuracy: dict[str, Any]) -> Any:
    """Return the accuracy after training for the hub's model index; None without test prompts."""
    from huggingface_hub import EvalResult

    if not accuracy["n"]:
        return None
    prompts = facts["prompts"]
    interval = figures.with_interval(None, accuracy["after_interval"], figures.percent)
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=prompts["hub"] or "held-out-prompts",
            dataset_name=f"held-out prompts of {prompts['what']}",
            metric_type="accuracy",
            metric_name=f"exact answers, n = {accuracy['n']}, interval {interval[2:]}",
            metric_value=accuracy["after"],
        )
    ]


def example_of(student: ResolvedModel, system: str | None) -> str:
    """Return a training row as the student reads it, including special tokens.

    This imports Transformers and torch: run it in a child process.
    """
    from persyn_kedro.foundations.models.load import load_tokenizer

    tokenizer = load_tokenizer(student)
    return tokenizer.decode(render(tokenizer, system, "{prompt}", "{response}").input_ids)
