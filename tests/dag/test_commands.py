"""The commands that look at what a run made, or at what one would see."""

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import Run
from tests.support.catalog import load

TEACHERS = ["a-brief", "a-steps", "b"]


def test_show_mask_colours_prompt_response_and_end(smoke_project: Run) -> None:
    done = smoke_project("show-mask", "--env=smoke", "--prompt=2 + 3?", "--response=It is 5.")
    assert "\x1b[32mIt is 5.\x1b[0m\x1b[1;31m<|im_end|>\x1b[0m" in done.stdout
    assert "2 + 3?" in done.stdout.split("\x1b[32m")[0]


def test_fetch_models_names_every_model_that_a_run_loads(smoke_project: Run) -> None:
    done = smoke_project("fetch-models", "--env=smoke")
    names = {line.split(":")[0] for line in done.stdout.splitlines() if ": random:" in line}
    assert names == {"tiny-a", "tiny-b", "tiny-student"}


def test_a_row_is_traced_to_what_made_it(smoke_project: Run) -> None:
    row = load(smoke_project.directory, "sft_dataset")[0]
    root = smoke_project.directory / "data" / "smoke"
    done = smoke_project("trace", row["prompt_id"][:10], "--env=smoke")
    chain = json.loads(done.stdout[done.stdout.index("{") :])
    assert chain["prompt"]["prompt_id"] == row["prompt_id"]
    assert chain["prompt"]["source"] in ("chain_sum", "simple_equations")
    assert list(chain["router"]["scores"]) == TEACHERS
    assert chain["router"]["choice"] == chain["response"]["teacher"] == row["teacher"]
    assert chain["response"]["response_key"] == row["response_key"]
    assert chain["teacher"]["sampling"]["max_new_tokens"] in (8, 12)
    behind = {"source_prompts", "prompts", "router", "assignments", "sft_dataset"}
    assert set(chain["versions"]) >= behind
    for name, version in chain["versions"].items():  # each was made from just these
        made = json.loads(next(root.glob(f"*/{name}*/{version}/made_by.json")).read_text())
        for source in made["input_versions"].keys() & {"router", "assignments", "rewards"}:
            assert chain["versions"][source] == made["input_versions"][source]
    done = smoke_project("trace", "nobody", "--env=smoke", check=False)
    assert done.returncode == 1 and "0 rows of sft_dataset" in done.stderr


def test_a_prompt_is_explained_by_the_tables_behind_its_assignment(smoke_project: Run) -> None:
    """A calibration prompt that the router was fitted on, given by its text."""
    data = smoke_project.directory / "data" / "smoke"
    (fit, *_) = (
        r["prompt_id"] for r in load(smoke_project.directory, "prompts") if r["part"] == "fit"
    )
    (prompt,) = (r for r in load(smoke_project.directory, "prompts") if r["prompt_id"] == fit)
    done = smoke_project("explain", "--env=smoke", f"--text={prompt['prompt']}", "--json")
    found = json.loads(done.stdout)  # nothing else is printed
    tables = {
        name: pq.read_table(next(data.glob(f"*/{name}.parquet")) / version / f"{name}.parquet")
        for name in ("assignments", "rewards")
        for version in [found["versions"][name]]
    }
    (assigned,) = tables["assignments"].filter(pc.field("prompt_id") == fit).to_pylist()
    assert (found["prompt_id"], found["routed"], found["part"]) == (fit, True, "fit")
    assert (found["choice"], found["margin"]) == (assigned["teacher"], assigned["margin"])
    scores = {t["teacher"]: t["score"] for t in found["teachers"]}
    assert [scores[name] for name in TEACHERS] == assigned["scores"]
    assert found["neighbours"][0]["prompt_id"] == fit
    assert found["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-4)
    true = {(r["prompt_id"], r["teacher"]): r["reward"] for r in tables["rewards"].to_pylist()}
    for near in found["neighbours"]:
        assert near["rewards"] == {name: true[near["prompt_id"], name] for name in TEACHERS}
    answers = {r["response_key"]: r for r in load(smoke_project.directory, "calibration_responses")}
    known = {r["teacher"]: r["response"] for r in answers.values() if r["prompt_id"] == fit}
    assert {t["teacher"]: t["response"] for t in found["teachers"]} == known


def test_a_new_prompt_is_explained_without_asking_a_teacher(smoke_project: Run) -> None:
    store = smoke_project.directory / "data" / "smoke" / "stores"
    before = sorted(store.rglob("*"))
    done = smoke_project("explain", "--env=smoke", "--text=Never seen?", "--neighbours=2")
    text = " ".join(done.stdout.split())
    assert "a new prompt, not in any table" in text and "computed now" in text
    assert "the choice's response has more reward than the runner-up's" in text
    assert "#2" in text and "#3" not in text
    assert "Responses: none are stored" in text and sorted(store.rglob("*")) == before


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "Error: Which prompt? Give a prompt_id or its prefix (known: "),
        (["zz", "--load-versions=router:1999"], "router has no version 1999; the newest are 2"),
        (["zz", "--env=base"], "No trained router: run `kedro run --pipelines=prepare,label,tr"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    smoke_project: Run, args: list[str], sentence: str
) -> None:
    done = smoke_project("explain", "--env=smoke", *args, check=False)
    assert done.returncode == 1 and sentence in done.stderr
    assert "Traceback" not in done.stderr
