"""The prompts of an lm-evaluation-harness task, read in its own process."""

import json
from pathlib import Path

import pytest

from persyn_kedro.domain.benchmarks.loading import load_tasks
from persyn_kedro.domain.cleaning.against import read_test_prompts
from persyn_kedro.domain.cleaning.overlap import Question
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.cleaning import AgainstSettings
from persyn_kedro.foundations.settings.experiments import BenchmarkSettings

TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: generate_until
test_split: test
doc_to_text: "Question: {{{{question}}}} Answer:"
doc_to_target: "{{{{answer}}}}"
{more}
"""


def own_task(directory: Path, more: str = "") -> AgainstSettings:
    rows = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(3)]
    (directory / "sums.json").write_text("\n".join(map(json.dumps, rows)))
    file = directory / "sums.json"
    (directory / "sums.yaml").write_text(TASK.format(file=file, more=more))
    return AgainstSettings(benchmark="sums", include_path=str(directory))


def test_a_task_gives_what_it_declares_for_decontamination_or_else_asks(tmp_path: Path) -> None:
    asked = list(read_test_prompts([own_task(tmp_path)]))
    assert asked[1] == Question("sums", 2, "Question: What is 1 + 1? Answer:")
    more = "should_decontaminate: true\ndoc_to_decontamination_query: question"
    declared = list(read_test_prompts([own_task(tmp_path, more)]))
    assert declared[1] == Question("sums", 2, "What is 1 + 1?")
    assert len(asked) == len(declared) == 3


def test_an_unknown_task_is_named(tmp_path: Path) -> None:
    with pytest.raises(PersynError, match="prepare.against names 'no_such_task', which the har"):
        list(read_test_prompts([AgainstSettings(benchmark="no_such_task")]))


@pytest.mark.parametrize(
    ("names", "read"),
    [(["sums"], [False]), (["both"], [False, True]), (["sums", "both"], [False, True])],
)
def test_the_harness_s_thousands_are_read_unless_all_tasks_are_ones_own(
    names: list[str], read: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval import tasks

    class Recorded(tasks.TaskManager):
        def __init__(self, include_path: list[str], include_defaults: bool = True) -> None:
            asked.append(include_defaults)
            super().__init__(include_path=include_path, include_defaults=False)  # they take 10 s

    asked: list[bool] = []
    monkeypatch.setattr(tasks, "TaskManager", Recorded)
    own_task(tmp_path)
    (tmp_path / "both.yaml").write_text("group: both\ntask: [sums, gsm8k]\n")
    settings = BenchmarkSettings(tasks=names, include_path=str(tmp_path))
    if names == ["sums"]:
        assert list(load_tasks(settings, tmp_path)[1]) == ["sums"]
    else:  # of which one is the harness's
        with pytest.raises(PersynError, match="'both' could not be loaded"):
            load_tasks(settings, tmp_path)
    assert asked == read
