"""What the smoke run made, exported to directories and sent to a hub."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Run
from tests.support.catalog import load
from tests.support.hub import serve


@pytest.fixture(scope="module")
def handed_on(smoke_project: Run) -> dict[str, Path]:
    """Export what the smoke run made; the tiny models have no licences.

    They never end an answer, so the calibration answers are made to look as if they had.
    """
    (file,) = smoke_project.directory.rglob("calibration_responses.parquet/*/*.parquet")
    table = pq.read_table(file)
    place = table.schema.get_field_index("finish_reason")
    ended = table.set_column(place, "finish_reason", pa.array(["stop"] * len(table)))
    file.unlink()  # the smoke run's own is linked to it
    pq.write_table(ended, file)
    done = smoke_project("run", "--env=smoke", "--pipelines=export")
    assert "Overall licence: unknown. Missing licences: teacher " in " ".join(done.stdout.split())
    names = ("export_dataset", "export_arrow", "export_student")
    return {name: load(smoke_project.directory, name) for name in names}


def test_what_is_handed_on_says_what_was_made(
    smoke_project: Run, handed_on: dict[str, Path]
) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    rows = load(smoke_project.directory, "sft_dataset")
    directory = smoke_project.directory / handed_on["export_dataset"]
    for split, part in (("train", "sft"), ("withheld", "withheld")):
        table = pq.read_table(directory / "data" / f"{split}.parquet")
        own = [row for row in rows if row["part"] == part]
        expected = [{k: row[k] for k in row.keys() - {"kept"}} for row in own]
        assert expected and table.drop_columns(["messages"]).to_pylist() == expected
    pairs = load(smoke_project.directory, "preferences")
    assert pq.read_table(directory / "preferences" / "train.parquet").to_pylist() == pairs != []
    rewards = {r["response_key"]: r["reward"] for r in load(smoke_project.directory, "rewards")}
    for pair in pairs:
        better, worse = (rewards[pair[f"response_key_{x}"]] for x in ("chosen", "rejected"))
        assert pair["margin"] == better - worse > 0
    info = json.loads((directory / "dataset_info.json").read_text())
    assert info["persyn_sft"]["file_name"] == "data/train.parquet"
    card = DatasetCard.load(directory / "README.md")
    assert card.data.license == "unknown"
    assert [config["config_name"] for config in card.data.configs] == ["default", "preferences"]
    assert f"{len(pairs)} pairs of a better and a worse answer" in card.text
    asked = {"a-brief": "Be brief.", "a-steps": "Think in steps."}
    for teacher in asked.keys() & {row["teacher"] for row in rows}:
        assert asked[teacher] in card.text
    trained = [row for row in rows if row["part"] == "sft"]
    for teacher in {row["teacher"] for row in rows}:
        count = sum(row["teacher"] == teacher for row in trained)
        (line,) = [x for x in card.text.splitlines() if x.startswith(f"| {teacher} | random")]
        assert f"| {count} |" in line and "unknown: check" in line
    assert "Hit@k: how often the prompt's best teacher" in card.text
    student = smoke_project.directory / handed_on["export_student"]
    card = ModelCard.load(student / "README.md")
    assert "Test accuracy: exact match." in card.text
    n, after = (
        load(smoke_project.directory, "evaluation_metrics")["accuracy"][k] for k in ("n", "after")
    )
    assert f"n = {n}" in card.data.eval_results[0].metric_name
    assert card.data.eval_results[0].metric_value == after
    assert "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{response}" in card.text
    assert (student / "model.safetensors").samefile(
        smoke_project.directory / load(smoke_project.directory, "student") / "model.safetensors"
    )


def test_a_push_sends_what_is_handed_on_and_only_when_told(
    smoke_project: Run, handed_on: dict[str, Path]
) -> None:
    push = ["push", "--env=smoke", "--dataset-repo=me/data", "--student-repo=me/student"]
    with serve() as hub:
        where = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret"}
        done = smoke_project(*push, "--yes", check=False, **where)
        assert done.returncode == 1 and "Unknown licences: teacher " in done.stderr
        assert "(models.tiny-student.license)" in done.stderr and "Traceback" not in done.stderr
        push.append("--allow-unknown-licences")
        done = smoke_project(*push, **where)
        assert "would be uploaded; add --yes to upload" in done.stdout
        assert not hub.requests  # not even asked
        done = smoke_project(*push, "--yes", **where)
    assert f"Uploaded: {hub.url}/datasets/me/data" in done.stdout
    assert hub.private == {("dataset", "me/data"): True, ("model", "me/student"): True}
    dataset, student = hub.commits["dataset", "me/data"], hub.commits["model", "me/student"]
    data = {"data/train.parquet", "data/withheld.parquet", "preferences/train.parquet"}
    assert set(dataset) == {"README.md", "dataset_info.json", *data}
    trained = smoke_project.directory / load(smoke_project.directory, "student")
    assert set(student) == {"README.md", *(p.name for p in trained.iterdir())}
    assert student["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    assert b"- me/data" in student["README.md"]
    for name, content in [*dataset.items(), *student.items()]:
        if name in data:
            table = pq.read_table(smoke_project.directory / handed_on["export_dataset"] / name)
            content = json.dumps(table.to_pylist()).encode()
        for text in ("hf_secret", str(smoke_project.directory), "data/smoke", "stores"):
            assert text.encode() not in content, (name, text)


@pytest.fixture(scope="module")
def preferred(smoke_project: Run, handed_on: dict[str, Path]) -> tuple[Any, Any]:
    """The run that trains by preferences, and the one that reports it."""
    done = smoke_project("run", "--env=smoke", "--pipelines=dpo")
    return done, smoke_project("run", "--env=smoke", "--pipelines=evaluate")


def test_the_student_is_trained_on_the_same_preferences_and_compared(
    smoke_project: Run, preferred: tuple[Any, Any]
) -> None:
    done, reported = preferred
    assert "Skipped preferences.prefer_answers: nothing changed" in done.stdout
    assert re.search(r"dpo +withheld NLL", done.stdout)
    left_out, *curve = load(smoke_project.directory, "preference_curve")
    pairs = load(smoke_project.directory, "preferences")
    assert left_out == {"left_out": 0}
    assert len(curve) == -(-len(pairs) // 8)
    assert curve[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)  # it is the reference yet
    fine_tuned, metrics = (
        load(smoke_project.directory, name) for name in ("evaluation_metrics", "preference_metrics")
    )
    for measure in ("accuracy", "nll"):
        assert metrics[measure]["n"] == fine_tuned[measure]["n"] > 0
        assert metrics[measure]["before"] == fine_tuned[measure]["after"]
    assert metrics["nll"]["after"] != metrics["nll"]["before"]
    comparison = load(smoke_project.directory, "student_comparison")
    assert comparison == {"sft": fine_tuned, "dpo": metrics}
    again = smoke_project("run", "--env=smoke", "--pipelines=dpo")
    assert "Running" not in again.stdout
    assert "after training: generating" in done.stdout and "after SFT" not in done.stdout
    assert set(re.findall(r"Running (\S+):", reported.stdout)) >= {"evaluate.summarise"}
    assert re.search(r"dpo +withheld NLL", reported.stdout)
    page = report(smoke_project.directory)
    of_all = page[page.index('id="student"') : page.index('id="glossary"')]
    change = metrics["nll"]["after"] - metrics["nll"]["before"]
    assert "<td>sft</td>" in of_all and "<td>dpo</td>" in of_all
    assert f"{change:.3f}".lstrip("-") in of_all


def test_an_earlier_student_s_preferences_are_not_in_the_report(
    smoke_project: Run, preferred: tuple[Any, Any]
) -> None:
    assert "<td>dpo</td>" in report(smoke_project.directory)
    changed = "--params=sft.epochs=2,sft.learning_rate=0.01"
    smoke_project("run", "--env=smoke", "--pipelines=sft,evaluate", changed)
    assert "<td>dpo</td>" not in report(smoke_project.directory)


def report(directory: Path) -> str:
    return max(directory.glob("data/smoke/08_reporting/report.html/*/report.html")).read_text()
