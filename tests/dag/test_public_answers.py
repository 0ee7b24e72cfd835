"""A published table of answers and scores, through the guide's own lines: no teacher is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, Run, make_project
from tests.support import guides
from tests.support.catalog import load

GUIDE = ROOT / "docs" / "guides" / "public_answers.md"
SKYWORK, ARMO = "Skywork-Reward-Llama-3.1-8B", "ArmoRM-Llama3-8B-v0.1"
TEACHERS = ("gemma-2-2b-it", "Qwen2_5-7B-Instruct")
COLUMNS = ("gemma-2-2b-it", "Qwen2.5-7B-Instruct")
ROWS = [
    {
        "uuid": f"u{n}",
        "instruction": f"Say the number {n} in words.",
        COLUMNS[0]: {"content": f"It is {n}.", SKYWORK: float(n % 7), ARMO: 0.1},
        COLUMNS[1]: {"content": f"{n}, in words.", SKYWORK: 3.0, ARMO: 0.2},
    }
    for n in range(24)
]
ROWS[5][COLUMNS[1]] = {"content": "", SKYWORK: None, ARMO: None}  # a model that said nothing


def writer() -> Callable[[Any, str], None]:
    ((_, text),) = guides.files(GUIDE, "python")
    module = ModuleType("write_answers")
    exec(text.partition("if __name__")[0], module.__dict__)
    return module.write_answers


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A project with the answers imported and labelled by the published scores."""
    directory = tmp_path_factory.mktemp("public")
    run = make_project(directory)
    writer()(ROWS, str(directory / "answers.jsonl"))
    lines = [json.dumps({"instruction": row["instruction"]}) for row in ROWS]
    (directory / "prompts.jsonl").write_text("\n".join(lines))
    ((_, settings),) = guides.files(GUIDE, "yaml")
    smoke = yaml.safe_load((ROOT / "conf" / "smoke" / "parameters.yml").read_text())
    own = {
        **smoke,
        **yaml.safe_load(settings),
        "teachers": {t: {"model": m} for t, m in zip(TEACHERS, ("tiny-a", "tiny-b"), strict=True)},
        "prepare": {
            "source": {"file": "prompts.jsonl", "prompt_column": "instruction"},
            "calibration_fraction": 0.6,
            "test_fraction": 0,
            "withheld_fraction": 0,
        },
    }
    (directory / "conf" / "mine").mkdir()
    (directory / "conf" / "mine" / "parameters.yml").write_text(yaml.safe_dump(own))
    run("import-responses", "--env=mine", "answers.jsonl")
    run("run", "--env=mine", "--pipelines=prepare,label")
    return run


def test_the_scores_are_the_published_ones(project: Run) -> None:
    prompts = load(project.directory, "prompts", env="mine")
    texts = {row["prompt_id"]: row["prompt"] for row in prompts}
    published = {
        (row["instruction"], teacher): row[column][SKYWORK]
        for row in ROWS
        for teacher, column in zip(TEACHERS, COLUMNS, strict=True)
    }
    quality = load(project.directory, "quality", env="mine")
    found = {(texts[row["prompt_id"]], row["teacher"]): row["quality"] for row in quality}
    assert len(found) >= 20
    silent = (ROWS[5]["instruction"], TEACHERS[1])
    assert {k: v for k, v in found.items() if k != silent} == {
        k: published[k] for k in found if k != silent
    }


def test_no_teacher_is_asked_but_one_that_said_nothing(project: Run) -> None:
    prompts = load(project.directory, "prompts", env="mine")
    silent = [
        p for p in prompts if p["prompt"] == ROWS[5]["instruction"] and p["split"] == "calibration"
    ]
    calls = load(project.directory, "calibration_calls", env="mine")
    assert sum(row["calls"] for row in calls) == len(silent)


def test_other_scores_are_looked_up_again_and_another_file_too(project: Run) -> None:
    rewritten = [{**row, COLUMNS[0]: {**row[COLUMNS[0]], SKYWORK: 9.0}} for row in ROWS]
    writer()(rewritten, str(project.directory / "answers.jsonl"))
    said = project("run", "--env=mine", "--pipelines=label").stdout
    assert "files_read" in said
    quality = load(project.directory, "quality", env="mine")
    assert {r["quality"] for r in quality if r["teacher"] == TEACHERS[0]} == {9.0}
    other = "--params=label.quality.score=" + ARMO
    said = project("run", "--env=mine", "--pipelines=label", other).stdout
    assert f"is '{ARMO}'" in " ".join(said.split())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"prompt": "p", "response": "r", "scores": {SKYWORK: "high"}}, "must be a number or null"),
        ({"prompt": "p", "response": 3}, "has no text in 'response'"),
    ],
)
def test_a_bad_line_is_named(line: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    from persyn_kedro.domain.quality.imported import ImportedScores
    from persyn_kedro.domain.quality.scorer import Answer
    from persyn_kedro.foundations.errors import PersynError
    from persyn_kedro.foundations.prompts.conversation import prompt_id_of

    path = tmp_path / "scores.jsonl"
    path.write_text("\n" + json.dumps(line))
    answer = Answer(("k", "r"), {"prompt_id": prompt_id_of("p")}, "r")
    with pytest.raises(PersynError, match=f"Line 2 of .*{sentence}"):
        list(ImportedScores(str(path), SKYWORK).scores([answer]))
