"""The student before and after training: test accuracy, and NLL of withheld responses."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.intervals import wilson
from persyn_kedro.domain.learnability import local_scorer, score_responses, token_statistics
from persyn_kedro.domain.prompts import TEST, find_rows, find_texts, select_rows
from persyn_kedro.domain.quality import check_quality, verifier_of
from persyn_kedro.domain.stores import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.student import (
    STUDENT,
    Exam,
    accuracy_summary,
    before_or_after,
    nll_summary,
)
from persyn_kedro.foundations.settings import (
    EngineSettings,
    EvaluateSettings,
    LabelSettings,
    Models,
    Needs,
    StudentSettings,
    Teachers,
    runs_code,
    step,
    thinks_of,
)


@step(needs=Needs.STUDENT, settings=("sampling",))
def answer_test(
    prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    engine: EngineSettings,
    settings: EvaluateSettings,
    seed: int,
    response_store: ResponseStore,
    directory: Path | None = None,
) -> pa.Table:
    """Return the test answers of the student, or of the trained one in ``directory``."""
    exam = Exam(select_rows(prompts, TEST), student, settings, engine, seed)
    return exam.ask(before_or_after(models, student, directory), response_store)


@step(needs_if={runs_code: Needs.JUDGE}, only_if={runs_code: ("label",)}, label=("quality",))
def check_test_answers(
    test_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    student: StudentSettings,
    label: LabelSettings,
    quality_store: QualityStore,
) -> pa.Table:
    """Return the quality of the student's test answers, by references and tests of code."""
    responses = test_responses.to_table()
    return check_quality(
        responses,
        find_rows(source_prompts, responses["prompt_id"]),
        {STUDENT: models.root[student.model].think},
        verifier_of(label.quality),
        quality_store,
    )


@step(
    versions_of=(token_statistics, local_scorer),
    needs=Needs.MODEL | Needs.CLUSTER,
    texts=("source_prompts",),
    label=(),
)
def score_withheld(
    sft_dataset: pads.Dataset,
    routed_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    label: LabelSettings,
    statistics_store: StatisticsStore,
    directory: Path | None = None,
) -> pa.Table:
    """Return the statistics of withheld responses by the student, or by the trained one."""
    rows = sft_dataset.to_table(columns=["response_key", "part"]).to_pylist()
    withheld = {row["response_key"] for row in rows if row["part"] == "withheld"}
    responses = routed_responses.to_table()
    mask = [key in withheld for key in responses["response_key"].to_pylist()]
    responses = responses.filter(pa.array(mask, pa.bool_()))
    return score_responses(
        responses,
        dict(find_texts(source_prompts, responses["prompt_id"])),
        thinks_of(models, teachers),
        before_or_after(models, student, directory),
        student.system,
        statistics_store,
        label,
    )


@step(
    versions_of=(accuracy_summary, wilson),
    settings=("confidence",),
)
def measure_student(
    prompts: pads.Dataset,
    quality_before: pads.Dataset,
    quality_after: pads.Dataset,
    statistics_before: pads.Dataset,
    statistics_after: pads.Dataset,
    settings: EvaluateSettings,
) -> dict[str, Any]:
    """Return accuracy and NLL before and after, with n and intervals."""
    before, after = _by_prompt(quality_before), _by_prompt(quality_after)
    rows = select_rows(prompts, TEST, columns=["prompt_id", "reference"])
    judged = {*before, *after}  # by tests, where there is no reference
    ids = [r["prompt_id"] for r in rows if r["reference"] is not None or r["prompt_id"] in judged]
    return {
        # Failed and missing answers are not in the table: they are unknown, never wrong.
        "accuracy": accuracy_summary(
            [before.get(i) for i in ids], [after.get(i) for i in ids], settings.confidence
        ),
        "nll": nll_summary(
            statistics_before.to_table().to_pylist(),
            statistics_after.to_table().to_pylist(),
            settings.confidence,
        ),
    }


def _by_prompt(quality: pads.Dataset) -> dict[str, float]:
    """Return 1 or 0 for each prompt of known quality; code is right if it passes all tests."""
    rows = quality.to_table(filter=pads.field("quality").is_valid()).to_pylist()
    return {row["prompt_id"]: float(row["quality"] == 1) for row in rows}
