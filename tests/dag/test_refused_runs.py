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
