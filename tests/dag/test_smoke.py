"""The whole DAG through the command line, on tiny random models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from persyn_kedro.datasets.atomic import RECORD_FILE
from persyn_kedro.foundations.places import place
from persyn_kedro.pipeline_registry import STEPS, register_pipelines
from tests import guides
from tests.catalog import load
from tests.conftest import Run, make_project
from tests.hub import serve
from tests.s3_server import BUCKET

WHOLE = f"s3://{BUCKET}/whole"  # where the data of a whole run lie
TEACHERS = ["a-brief", "a-steps", "b"]


def versions(run: Run, pattern: str) -> list[str]:
    root = run.directory / "data" / "smoke"
    return sorted(p.parent.name for p in root.glob(pattern))


def test_default_run_writes_every_output_and_prints_the_table(smoke_project: Run) -> None:
    summary = load(smoke_project.directory, "report_summary")
    assert [row["teacher"] for row in summary["teachers"]] == TEACHERS
    page = load(smoke_project.directory, "report")
    assert page.lstrip().lower().startswith("<!doctype html>")
    for text in ("Generate-then-Select", "regret", "test accuracy", "withheld NLL", *TEACHERS):
        assert text in smoke_project.first.stdout
        assert text in page
    for output in register_pipelines()["__default__"].all_outputs():
        load(smoke_project.directory, output)


def test_a_run_into_a_pipe_redraws_nothing_and_sums_up_each_step(smoke_project: Run) -> None:
    written = smoke_project.first.stdout + smoke_project.first.stderr
    assert "\r" not in written and "\x1b" not in written
    lines = [line for line in written.splitlines() if " INFO " in line]
    done = {w[1]: " ".join(w[2:]) for w in (x.partition("INFO")[2].split() for x in lines)
            if w[0] == "Done"}  # fmt: skip
    started = [line.partition("Doing ")[2].partition(":")[0] for line in lines if "Doing " in line]
    assert list(done) == started == [n.name for n in register_pipelines()["__default__"].nodes]
    for step, table in (
        ("label.answer_calibration_prompts", "calibration_calls"),
        ("generate.generate_responses", "routed_calls"),
    ):
        rows = load(smoke_project.directory, table)
        total = {k: sum(row[k] for row in rows) for k in rows[0] if k != "teacher"}
        assert f": {total['calls']} calls (" in done[step]
        assert f", {total['prompt_tokens']:,} prompt tokens, " in done[step]
        assert f" {total['completion_tokens']:,} completion tokens (" in done[step]
        stored = total["responses"] - total["calls"]
        assert (f"{stored} from the store" in done[step]) == bool(stored)
    tokens = load(smoke_project.directory, "token_statistics")
    assert f"{sum(row['tokens'] for row in tokens):,} tokens (" in done["label.score_learnability"]
    for step in ("sft.train_student", "train_router.fit_router"):
        assert " training steps (" in done[step] and " tokens (" in done[step]


def test_calls_on_an_empty_store_follow_the_formula(smoke_project: Run) -> None:
    """METHOD section 4: K n + (N - n) calls, against K N for Generate-then-Select."""
    splits = load(smoke_project.directory, "splits")
    n = sum(row["split"] == "calibration" for row in splits)
    train = sum(row["split"] == "train" for row in splits)
    calibration = load(smoke_project.directory, "calibration_calls")
    routed = load(smoke_project.directory, "routed_calls")
    assert n > 0 and train > 0
    assert sum(row["calls"] for row in calibration) == len(TEACHERS) * n
    assert sum(row["calls"] for row in routed) == train
    assert sum(row["responses"] for row in routed) == n + train


def test_the_calls_were_estimated_before_and_none_is_planned_after(smoke_project: Run) -> None:
    estimate = load(smoke_project.directory, "estimate")
    made = {
        step: {row["teacher"]: row for row in load(smoke_project.directory, table)}
        for step, table in (("label", "calibration_calls"), ("generate", "routed_calls"))
    }
    for row in estimate:
        if row["step"] == "label":
            assert row["calls"] == made["label"][row["teacher"]]["calls"] > 0
    routed = [row["calls"] for row in estimate if row["step"] == "generate"]
    assert sum(routed) == pytest.approx(sum(r["calls"] for r in made["generate"].values()))
    page = load(smoke_project.directory, "report")
    assert "Estimate against actual" in page
    done = smoke_project("run", "--env=smoke", "--pipelines=plan")
    after = {(r["step"], r["teacher"]): r for r in load(smoke_project.directory, "plan")}
    assert {row["calls"] for (step, _), row in after.items() if step != "evaluate"} == {0}
    for teacher, row in made["generate"].items():  # the router's choice, calibration left out
        assert after["generate", teacher]["responses"] == row["calls"]
    assert after["evaluate", "student before"]["calls"] == 0
    assert "Teacher calls: 0; Generate-then-Select" in done.stdout


def test_each_prompt_is_answered_by_the_teacher_with_the_highest_score(smoke_project: Run) -> None:
    assigned = {r["prompt_id"]: r for r in load(smoke_project.directory, "assignments")}
    for row in assigned.values():
        assert row["teacher"] == TEACHERS[row["scores"].index(max(row["scores"]))]
    for row in load(smoke_project.directory, "sft_dataset"):
        assert row["teacher"] == assigned[row["prompt_id"]]["teacher"]
        assert [m["role"] for m in row["completion"]] == ["assistant"]


def test_test_prompts_are_never_answered_by_a_teacher(smoke_project: Run) -> None:
    test = {r["prompt_id"] for r in load(smoke_project.directory, "splits") if r["split"] == "test"}
    for table in ("calibration_responses", "routed_responses", "sft_dataset"):
        rows = load(smoke_project.directory, table)
        assert rows and not test & {row["prompt_id"] for row in rows}


def test_a_second_run_calls_no_teacher(smoke_project: Run) -> None:
    before = load(smoke_project.directory, "routed_responses")
    smoke_project("run", "--env=smoke", "--pipelines=label,generate", "--redo")
    for table in ("calibration_calls", "routed_calls"):
        assert sum(row["calls"] for row in load(smoke_project.directory, table)) == 0
    assert load(smoke_project.directory, "routed_responses") == before


@pytest.mark.parametrize("step", list(STEPS))
def test_every_step_runs_on_its_own(smoke_project: Run, step: str) -> None:
    done = smoke_project("run", "--env=smoke", f"--pipelines={step}", "--redo")
    assert "Skipped" not in done.stdout


def test_two_processes_train_what_one_does(smoke_project: Run) -> None:
    curves = ("router_training_curve", "training_curve")
    alone = [load(smoke_project.directory, name) for name in curves]
    processes = "--params=cluster.training_processes=2,cluster.sharding=fsdp"
    done = smoke_project("run", "--env=smoke", "--pipelines=train_router,sft", processes)
    assert done.stdout.count("Skipped") == 3  # it changes nothing that is made
    smoke_project("run", "--env=smoke", "--pipelines=train_router,sft", processes, "--redo")
    for name, curve in zip(curves, alone, strict=True):
        again = load(smoke_project.directory, name)
        assert again == [pytest.approx(row, abs=1e-5) for row in curve], name


def test_the_deprecated_form_of_the_option_works_too(smoke_project: Run) -> None:
    pattern = "07_model_output/assignments.parquet/*/assignments.parquet"
    count = len(versions(smoke_project, pattern))
    smoke_project("run", "--env=smoke", "--pipeline=route", "--redo")
    assert len(versions(smoke_project, pattern)) == count + 1


def test_load_versions_reruns_a_step_on_an_older_version(smoke_project: Run) -> None:
    oldest = versions(smoke_project, "06_models/router/*/router")[0]
    root = smoke_project.directory / "data" / "smoke" / "07_model_output" / "assignments.parquet"
    first = pq.read_table(root / oldest / root.name).to_pylist()  # the same run made both
    other = "--params=train_router.epochs=3,train_router.head_learning_rate=0.5"
    smoke_project("run", "--env=smoke", "--pipelines=train_router,route", other)
    assert load(smoke_project.directory, "assignments") != first
    smoke_project("run", "--env=smoke", "--pipelines=route", f"--load-versions=router:{oldest}")
    assert load(smoke_project.directory, "assignments") == first


def test_another_alpha_reuses_every_response(smoke_project: Run) -> None:
    smoke_project("run", "--env=smoke", "--pipelines=label", "--params=label.alpha=1.0", "--redo")
    assert sum(r["calls"] for r in load(smoke_project.directory, "calibration_calls")) == 0
    for row in load(smoke_project.directory, "rewards"):
        if row["valid"]:
            assert row["reward"] == pytest.approx(row["learnability_normalised"], abs=1e-12)


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        (
            "route",
            "No trained router: run `kedro run --pipelines=prepare,label,train_router`.",
        ),
        ("label", "No prompts: run `kedro run --pipelines=prepare`."),
    ],
)
def test_a_missing_input_names_the_steps_to_run(
    tmp_path_factory: pytest.TempPathFactory, pipeline: str, sentence: str
) -> None:
    run = make_project(tmp_path_factory.mktemp("empty"))
    done = run("run", "--env=smoke", f"--pipelines={pipeline}", check=False)
    assert done.returncode == 1
    assert sentence in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ("label.alpha=1.5", "label.alpha"),
        ("sft.alhpa=0.5", "There is no parameter sft.alhpa."),
        ("seed=abc", "seed must be a whole number"),
        ("lable.alpha=0.5", "group 'lable'"),
        ("student.model=nobody", "nobody"),
        ("train_router.backbone=nobody", "train_router.backbone is 'nobody'"),
    ],
)
def test_bad_settings_stop_the_run_before_any_model(
    smoke_project: Run, params: str, named: str
) -> None:
    before = sorted((smoke_project.directory / "data").rglob("*.parquet"))
    done = smoke_project(
        "run", "--env=smoke", "--pipelines=prepare", f"--params={params}", check=False
    )
    assert done.returncode == 1
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert named in line
    assert "Traceback" not in done.stderr
    assert sorted((smoke_project.directory / "data").rglob("*.parquet")) == before


def test_an_unknown_pipeline_is_one_sentence(smoke_project: Run) -> None:
    done = smoke_project("run", "--env=smoke", "--pipelines=labl", check=False)
    assert done.returncode == 1
    assert "Error: There is no pipeline 'labl'; there are prepare, label" in done.stderr


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("train_router", "not those of teacher 'a-brief' as it is set now"),
        ("route", "fitted for another pool of teachers"),
        ("generate", "assignments were made for another pool of teachers"),
    ],
)
def test_what_another_pool_made_is_refused(smoke_project: Run, step: str, sentence: str) -> None:
    done = smoke_project(
        "run", "--env=smoke", f"--pipelines={step}", "--params=teachers.a-brief.system=No.",
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


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
    assert set(chain["versions"]) >= {"prompts", "splits", "router", "assignments", "sft_dataset"}
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
        r["prompt_id"] for r in load(smoke_project.directory, "splits") if r["part"] == "fit"
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
    assert "a new prompt, in no table" in text and "asked just now" in text
    assert "the choice's response has more reward than the runner-up's" in text
    assert "#2" in text and "#3" not in text
    assert "Responses: none is stored" in text and sorted(store.rglob("*")) == before


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "Error: Which prompt? Give either the beginning of a prompt_id (there are "),
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


def test_each_run_writes_a_manifest(smoke_project: Run) -> None:
    assert "Manifest of this run: " in smoke_project.first.stdout
    first = versions(smoke_project, "08_reporting/run_manifest.json/*/run_manifest.json")[0]
    path = smoke_project.directory / "data/smoke/08_reporting/run_manifest.json" / first
    manifest = json.loads((path / "run_manifest.json").read_text())
    assert manifest["status"] == "complete"
    outputs = register_pipelines()["__default__"].all_outputs()
    assert set(manifest["saved"]) == outputs
    assert manifest["loaded"]["assignments"] == manifest["saved"]["assignments"]
    (calls,) = {row["calls"] for row in manifest["teachers"]["label"]}
    assert calls > 0
    assert manifest["packages"]["kedro"] and len(manifest["parameters"]) == 18
    assert set(manifest["seconds"]) == {n.name for n in register_pipelines()["__default__"].nodes}


@pytest.fixture(scope="module")
def handed_on(smoke_project: Run) -> dict[str, Path]:
    """Hand on what the smoke run made; the tiny models have no licences."""
    done = smoke_project("run", "--env=smoke", "--pipelines=hand_on")
    assert "Licence of the whole: unknown. Not known: teacher " in " ".join(done.stdout.split())
    names = ("hand_on_dataset", "hand_on_arrow", "hand_on_student")
    return {name: load(smoke_project.directory, name) for name in names}


def test_what_is_handed_on_says_what_was_made(
    smoke_project: Run, handed_on: dict[str, Path]
) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    rows = load(smoke_project.directory, "sft_dataset")
    directory = smoke_project.directory / handed_on["hand_on_dataset"]
    for split, part in (("train", "sft"), ("withheld", "withheld")):
        table = pq.read_table(directory / "data" / f"{split}.parquet")
        expected = [row for row in rows if row["part"] == part]
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
    assert "Hit@k: the prompt's best teacher" in card.text
    student = smoke_project.directory / handed_on["hand_on_student"]
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
        assert done.returncode == 1 and "Licences are not known of teacher " in done.stderr
        assert "(models.tiny-student.license)" in done.stderr and "Traceback" not in done.stderr
        push.append("--allow-unknown-licences")
        done = smoke_project(*push, **where)
        assert "nothing of it sent; with --yes it is" in done.stdout
        assert not hub.requests  # not even asked
        done = smoke_project(*push, "--yes", **where)
    assert f"Sent: {hub.url}/datasets/me/data" in done.stdout
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
            table = pq.read_table(smoke_project.directory / handed_on["hand_on_dataset"] / name)
            content = json.dumps(table.to_pylist()).encode()
        for text in ("hf_secret", str(smoke_project.directory), "data/smoke", "stores"):
            assert text.encode() not in content, (name, text)


def first_tables(root: Any) -> dict[str, pa.Table]:
    """Return the oldest version of each table under a data directory, by name."""
    found = {}
    for record in sorted(root.rglob(RECORD_FILE), key=str):
        name = record.parent.parent.name
        if name.endswith(".parquet") and name not in found:
            with (record.parent / name).open("rb") as file:
                found[name] = pq.read_table(file)
    return found


@pytest.fixture(scope="module")
def in_a_bucket(s3_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A project whose whole DAG has run once with its data in a bucket, by the guide's setting."""
    run = make_project(tmp_path_factory.mktemp("bucket"))
    where = run.directory / "conf" / "smoke" / "globals.yml"  # type: ignore[attr-defined]
    (guide,) = (guide for guide in guides.GUIDES if guide.stem == "remote_data")
    (text,) = guides.blocks(guide, "yml")
    assert "data: s3://my-bucket/persyn" in text and "workspace: scratch" in text
    where.write_text(text.replace("s3://my-bucket/persyn", WHOLE))
    run("run", "--env=smoke")
    return run


def test_the_smoke_run_in_a_bucket_equals_that_on_a_disk(
    smoke_project: Run, in_a_bucket: Run
) -> None:
    here = in_a_bucket.directory  # type: ignore[attr-defined]
    kept = {path.name for path in (here / "data").rglob("*") if path.is_file()}
    assert kept <= {".gitkeep"} and list((here / "scratch" / "workspaces").iterdir())
    disk = first_tables(smoke_project.directory / "data" / "smoke")  # type: ignore[attr-defined]
    bucket = first_tables(place(WHOLE))
    assert len(bucket) > 10 and bucket.keys() <= disk.keys()
    for name, table in bucket.items():
        assert table.equals(disk[name]), name


def test_a_second_run_in_a_bucket_skips_all_and_the_commands_work(in_a_bucket: Run) -> None:
    again = in_a_bucket("run", "--env=smoke")
    written = again.stdout + again.stderr
    assert written.count("Skipped ") > 10 and "Doing prepare" not in written
    directory = in_a_bucket.directory  # type: ignore[attr-defined]
    assert load(directory, "run_manifest")["teachers"] == {}
    prompt = load(directory, "sft_dataset")[0]["prompt_id"]
    assert "teacher" in in_a_bucket("trace", prompt[:10], "--env=smoke").stdout
    assert "margin" in in_a_bucket("explain", prompt[:10], "--env=smoke").stdout
    assert "would go" in in_a_bucket("prune", "--env=smoke", "--keep=1").stdout
    shown = json.loads((directory / ".viz" / "stats.json").read_text())
    assert shown["sft_dataset"]["rows"] == len(load(directory, "sft_dataset"))


def test_a_bucket_that_is_not_there_stops_the_run_before_any_step(in_a_bucket: Run) -> None:
    base = in_a_bucket.directory / "conf" / "nowhere"  # type: ignore[attr-defined]
    shutil.copytree(base.parent / "smoke", base)
    (base / "globals.yml").write_text("data: s3://nobody/x\n")
    done = in_a_bucket("run", "--env=nowhere", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Doing " not in done.stdout
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert "s3://nobody/x" in line and "bucket does not exist" in line
