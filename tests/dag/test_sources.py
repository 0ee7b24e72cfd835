"""The guide's several sources through the whole DAG, on tiny random models."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.catalog import load

LIMIT = 32
EXPECTED = {"school": 16, "chats": 8, "sums": 8}  # by weights of 2, 1 and 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("sources")
    run = make_project(directory)
    smoke = yaml.safe_load((directory / "conf/smoke/parameters.yml").read_text())
    prepare = {**guides.settings("own_prompts", 2)["prepare"], "limit": LIMIT}
    smoke["prepare"] = {**{k: v for k, v in smoke["prepare"].items() if k != "source"}, **prepare}
    (directory / "conf/mine").mkdir()
    smoke["prepare"]["against"] = [{"file": "tests.jsonl"}]
    smoke["prepare"]["near_duplicates"] = {"similarity": 1.0}
    # All that a user says is compared, and a test prompt this short only as a whole.
    tests = [{"prompt": f"Hello. What is {n} times 2?"} for n in (2, 3, 5)]
    (directory / "tests.jsonl").write_text("\n".join(map(json.dumps, tests)))
    (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")
    school = [{"question": f"{n} + 1?", "answer": n + 1, "grade": n % 3} for n in range(24)]
    turns = [("user", "Hello."), ("assistant", "Hello!")]
    chats: list[dict[str, Any]] = [{"prompt": "7 + 1?"}]  # one of the school's
    for n in range(12):
        said = [*turns, ("user", f"What is {n} times 2?")]
        chats.append({"messages": [{"role": role, "content": text} for role, text in said]})
    for name, rows in (("my_prompts", school), ("my_chats", chats)):
        (directory / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run("run", "--env=mine")
    yield run


def table(run: Run, name: str) -> Any:
    return load(run.directory, name, env="mine")  # type: ignore[attr-defined]


def test_each_source_gives_its_share_and_is_counted(run: Run) -> None:
    assert Counter(row["source"] for row in table(run, "source_prompts")) == EXPECTED
    prompts = table(run, "prompts")
    assert {row["split"] for row in prompts} == {"calibration", "train", "test"}
    assert table(run, "report_summary")["sources"] == Counter(row["source"] for row in prompts)


def test_what_overlaps_with_a_test_set_is_dropped_told_and_never_answered(run: Run) -> None:
    dropped = [r for r in table(run, "dropped_prompts") if r["reason"] != "duplicate"]
    gone = {row["prompt_id"] for row in dropped}
    every = {row["prompt_id"] for row in table(run, "source_prompts")}
    assert gone and gone == every - {row["prompt_id"] for row in table(run, "prompts")}
    assert {(row["reason"], row["source"]) for row in dropped} == {("contaminated", "chats")}
    told = table(run, "report_summary")["dropped"]
    assert told["contaminated"] == len(gone)
    for name in ("sft_dataset", "calibration_responses", "routed_responses"):
        assert not gone & {row["prompt_id"] for row in table(run, name)}
    done = run("explain", min(gone), "--env=mine", check=False)
    assert "was dropped, contaminated: tests.jsonl, row" in done.stdout + done.stderr


def test_names_travel_to_the_training_set_and_the_exports(run: Run) -> None:
    source_of = {row["prompt_id"]: row["source"] for row in table(run, "prompts")}
    rows = table(run, "sft_dataset")
    assert {source_of[row["prompt_id"]] for row in rows} == set(EXPECTED)
    for row in rows:
        kept = json.loads(row["kept"])
        assert kept["source"] == source_of[row["prompt_id"]]
        assert (kept["grade"] is None) == (kept["source"] != "school")
    run("run", "--env=mine", "--pipelines=export")
    facts = table(run, "export_facts")
    assert facts["kept"] == ["source", "grade"]
    assert sum(facts["prompts"]["rows"].values()) == len(rows)
    assert facts["prompts"]["what"].startswith("school: a file, my_prompts.jsonl; chats: a file")


def test_nothing_is_redone_until_a_source_changes(run: Run) -> None:
    assert " Running " not in run("run", "--env=mine").stdout
    path = run.directory / "my_chats.jsonl"  # type: ignore[attr-defined]
    path.write_text(path.read_text() + '\n{"prompt": "One more?"}')
    told = run("run", "--env=mine", "--pipelines=prepare").stdout
    assert "prompts_read.chats" in told
