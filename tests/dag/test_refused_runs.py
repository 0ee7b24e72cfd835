"""What stops a run, in one sentence, before any step is done."""

import pytest

from tests.conftest import Run, make_project


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
        ("sft.alhpa=0.5", "Unknown parameter sft.alhpa."),
        ("compare.seeds=[1,2", "--params: 'compare.seeds=[1,2' cannot be read"),
        ("student.system=Be brief, please.", "--params: 'please.' is not key=value"),
        ("lable.alpha=0.5", "group of parameters 'lable'"),
        ("student.model=nobody", "nobody"),
        ("train_router.backbone=nobody", "train_router.backbone: unknown model 'nobody'"),
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


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_project(tmp_path_factory.mktemp("options"))
    (run.directory / "run.yml").write_text("run: {runner: ThreadRunner}\n")  # type: ignore[attr-defined]
    (run.directory / "empty.yml").write_text("other: {}\n")  # type: ignore[attr-defined]
    (run.directory / "none.yml").write_text("{")  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--runner=ParallelRunner", "its own runner, which skips steps that are up to date"),
        ("--runner=SequentialRunner", "this project has its own runner"),
        (
            "--runner=kedro.runner.ThreadRunner",
            "one model in memory at a time. Leave --runner out.",
        ),
        ("--runner=Nope", "--runner: unknown runner 'Nope'; leave the option out."),
        ("--runner=nowhere.Nope", "--runner: unknown runner 'nowhere.Nope'; leave the option out."),
        ("--config=run.yml", "--runner=ThreadRunner is not supported"),
        ("--config=none.yml", "none.yml is not valid YAML"),
        ("--config=empty.yml", "empty.yml needs a key `run:` with the options below it."),
        ("--async", "--async is not supported"),
        ("--only-missing-outputs", "a step whose result was made from the same settings"),
        (
            "--runner-params=max_workers=4",
            "--runner-params is not supported: the project's runner takes none",
        ),
        ("--nodes=nope", "nope"),
        ("--from-nodes=nope", "nope"),
        ("--to-nodes=nope", "nope"),
        ("--from-inputs=nope", "nope"),
        ("--to-outputs=nope", "nope"),
        ("--tags=nope", "Pipeline contains no nodes after applying all provided filters"),
        ("--namespaces=nope", "nope"),
        ("--pipeline=label --pipelines=label", "Options '--pipeline' and '--pipelines' cannot be"),
        ("--load-versions=prompts", "Expected the form of 'load_versions'"),
        ("--load-versions=nope:1", "'load_versions' keys [nope] are not found in the catalog."),
        ("--env=nope", "nope"),
        ("--conf-source=nope", "nope"),
    ],
)
def test_an_option_that_cannot_work_is_one_sentence(empty: Run, option: str, sentence: str) -> None:
    done = empty("run", "--env=smoke", *option.split(), check=False)
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    told = " ".join(done.stderr.split())
    assert sentence in told
    assert not (empty.directory / "data").exists()  # type: ignore[attr-defined]


def test_an_unknown_pipeline_is_one_sentence(smoke_project: Run) -> None:
    done = smoke_project("run", "--env=smoke", "--pipelines=labl", check=False)
    assert done.returncode == 1
    assert "Error: Unknown pipeline 'labl'; available: prepare, label" in done.stderr


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("train_router", "do not match the current settings of teacher 'a-brief'"),
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
