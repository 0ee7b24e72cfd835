"""What the smoke run made, exported to directories and sent to a hub."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Run
from tests.support.catalog import load
from tests.support.hub import serve


@pytest.fixture(scope="module")
def handed_on(smoke_project: Run) -> dict[str, Path]:
    """Export what the smoke run made; the tiny models have no licences."""
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
    info = json.loads((directory / "dataset_info.json").read_text())
    assert info["persyn_sft"]["file_name"] == "data/train.parquet"
    card = DatasetCard.load(directory / "README.md")
    assert card.data.license == "unknown"
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
    data = {"data/train.parquet", "data/withheld.parquet"}
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
