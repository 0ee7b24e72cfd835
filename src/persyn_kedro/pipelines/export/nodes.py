"""The training set and the student for publication: their files and their cards."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.export import (
    FILES,
    IN_PAIRS,
    PARTS,
    PREFERENCES_FILE,
    dataset_card,
    example_of,
    licence_of_all,
    llama_factory_info,
    method_facts,
    preferences_facts,
    prompts_facts,
    splits_of,
    student_card,
    student_facts,
    teachers_facts,
    unknown_licences,
)
from persyn_kedro.domain.reporting import dropped_sentences, export_text, focus_sentences
from persyn_kedro.domain.stores import ResponseStore
from persyn_kedro.domain.student import trained
from persyn_kedro.foundations.processes import call_in_child
from persyn_kedro.foundations.settings import (
    ExportSettings,
    GenerateSettings,
    LabelSettings,
    Models,
    PrepareSettings,
    SftSettings,
    StudentSettings,
    Teachers,
    TrainRouterSettings,
    step,
)
from persyn_kedro.foundations.tables import read_blocks
from persyn_kedro.foundations.templates import what_is_fixed

_KEYS = ("response_key_chosen", "response_key_rejected")
Files = dict[str, str | Path | pa.RecordBatchReader]  # by name in the directory


@step(
    always=True,
    prints={export_text: ("export_facts",)},
    models=("license",),
    prepare=("source", "sources"),
    router=("kind", "invalid"),
)
def collect_facts(
    sft_dataset: pads.Dataset,
    preferences: pads.Dataset,
    routed_responses: pads.Dataset,
    calibration_responses: pads.Dataset,
    source_prompts: pads.Dataset,
    report_summary: dict[str, Any],
    models: Models,
    teachers: Teachers,
    student: StudentSettings,
    prepare: PrepareSettings,
    label: LabelSettings,
    router: TrainRouterSettings,
    generate: GenerateSettings,
    settings: ExportSettings,
    seed: int,
    response_store: ResponseStore,
) -> dict[str, Any]:
    """Return the facts in both cards: whose answers, how many, how chosen, and their licences.

    The licences come from hubs and files and are not part of any record. An unknown one may be
    known the next time, so the step is never skipped.
    """
    rows = sft_dataset.to_table(columns=["response_key", "prompt_id", "part"])
    counts = {split: rows["part"].to_pylist().count(part) for split, part in PARTS.items()}
    pairs = preferences.to_table(columns=["prompt_id", *_KEYS])
    made_by = ["response_key", "teacher", "weights_id", "recipe_id"]
    responses = (calibration_responses, routed_responses)
    facts: dict[str, Any] = {
        "name": settings.name,
        "language": settings.language,
        "made_by": version("persyn-kedro"),
        "seed": seed,
        "rows": {split: n for split, n in counts.items() if n},
        "preferences": preferences_facts(pairs, settings.preferences),
        "calibration": report_summary["prompts"]["calibration"],
        "kept": prepare.kept,
        "teachers": teachers_facts(
            pa.concat_tables([rows.select(["response_key", "part"]), _in_pairs(pairs)]),
            pa.concat_tables([table.to_table(columns=made_by) for table in responses]),
            models,
            teachers,
            response_store.identity,
        ),
        "prompts": prompts_facts(
            source_prompts.to_table(columns=["prompt_id", "source"]),
            {*rows["prompt_id"].to_pylist(), *pairs["prompt_id"].to_pylist()},
            prepare,
            settings.prompts_license,
        ),
        "student": student_facts(models, student),
        "method": method_facts(models, teachers, label, router, generate),
        "pool": report_summary["teachers"],
        "router": report_summary["router"],
        "calls": report_summary["calls"],
        "left_out": [
            *dropped_sentences(report_summary.get("dropped")),
            *(focus_sentences(report_summary["focus"])[:1] if "focus" in report_summary else []),
        ],
        "notes": report_summary["notes"],
    }
    licences = [t["licence"]["name"] for t in [*facts["teachers"], facts["prompts"]]]
    facts["licence"] = licence_of_all(licences)
    facts["unknown"] = unknown_licences(facts)
    return facts


def _in_pairs(pairs: pa.Table) -> pa.Table:
    """Return each answer in the pairs once, as the part ``IN_PAIRS``."""
    keys = pa.chunked_array([c for name in _KEYS for c in pairs[name].chunks], pa.string()).unique()
    return pa.table({"response_key": keys, "part": pa.array([IN_PAIRS] * len(keys), pa.string())})


@step(prints={"The training set to publish: {}".format: ("export_dataset",)})
def write_dataset(
    facts: dict[str, Any], sft_dataset: pads.Dataset, preferences: pads.Dataset
) -> Files:
    """Return the files: the card, LLaMA-Factory's dataset_info, the rows, and any preferences."""
    splits, columns = splits_of(sft_dataset), preferences.schema
    pairs = pa.RecordBatchReader.from_batches(columns, read_blocks(preferences, columns.names))
    info = llama_factory_info(facts["name"], list(splits))
    return {
        "README.md": dataset_card(facts),
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        **{FILES[split]: rows for split, rows in splits.items()},
        **({PREFERENCES_FILE: pairs} if facts["preferences"]["rows"] else {}),
    }


@step(prints={"The same for load_from_disk: {}".format: ("export_arrow",)})
def write_arrow(dataset: Path, facts: dict[str, Any]) -> dict[str, Path]:
    """Return the files by split, to be saved for ``datasets.load_from_disk``."""
    return {split: dataset / FILES[split] for split in facts["rows"]}


@step(prints={"The student to publish: {}".format: ("export_student",)})
def write_student(
    facts: dict[str, Any],
    directory: Path,
    evaluation_metrics: dict[str, Any],
    training_curve: list[dict[str, Any]],
    models: Models,
    student: StudentSettings,
    settings: SftSettings,
) -> Files:
    """Return the student's files and its card."""
    model = trained(models, student, directory)
    card = student_card(
        facts,
        evaluation_metrics,
        settings,
        training_curve,
        call_in_child(example_of, model, student.system, label="the card's example"),
        what_is_fixed(model.chat_template),
    )
    files = {str(p.relative_to(directory)): p for p in directory.rglob("*") if p.is_file()}
    return {**files, "README.md": card}
