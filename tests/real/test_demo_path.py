"""The demo's own path on the real small models, at a reduced size."""

import importlib.util
import json

import pytest

from tests.conftest import Run, make_project
from tests.support.catalog import load

pytestmark = pytest.mark.real

ENGINE = "vllm" if importlib.util.find_spec("vllm") else "transformers"

SMALL = """\
seed: 7
models:
  smollm2: {zoo: smollm2, family: smollm2}
  qwen-0_5b: {zoo: qwen2.5-coder-0.5b, family: qwen2.5}
teachers:
  qwen-0_5b-brief: {model: qwen-0_5b, sampling: {max_new_tokens: 32}, system: Be brief.}
  qwen-0_5b-steps: {model: qwen-0_5b, sampling: {max_new_tokens: 48}, system: Go step by step.}
  smollm2: {model: smollm2, sampling: {max_new_tokens: 24}}
student: {model: smollm2}
engine: {name: ENGINE, chunk_size: 8, max_model_len: 512, max_num_seqs: 32}
prepare:
  source:
    prompt_suffix: " Solve it and put the final number in \\\\boxed{}."
    tasks:
      - name: chain_sum
        size: 16
        config: {min_terms: 2, max_terms: 2, min_digits: 1, max_digits: 1}
  calibration_fraction: 0.4
  test_fraction: 0.2
  holdout_fraction: 0.4
  withheld_fraction: 0.3
label: {alpha: 0.4, allow_truncated: true}
train_router: {kind: language_model, backbone: smollm2, epochs: 1}
route: {batch_size: 8}
generate: {verification: keep}
sft: {epochs: 1, batch_size: 4, max_length: 256}
evaluate: {sampling: {max_new_tokens: 24}}
benchmark: {tasks: [TASK], include_path: tasks, backend: BACKEND, max_length: 256}
"""
TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: tasks/sums.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: [], do_sample: false, max_gen_toks: 24}
num_fewshot: 0
filter_list:
  - name: last-number
    filter:
      - {function: regex, group_select: -1, regex_pattern: '(-?\\d+)'}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""


def configure(run: Run, **values: str) -> None:
    text = SMALL
    for name, value in values.items():
        text = text.replace(name, value)
    path = run.directory / "conf" / "small" / "parameters.yml"  # type: ignore[attr-defined]
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_project(tmp_path_factory.mktemp("demo"), shared=False)  # as `make demo`
    configure(run, ENGINE=ENGINE, TASK="sums", BACKEND="hf")
    run.first = run("run", "--env=small")  # type: ignore[attr-defined]
    return run


def test_the_whole_job_on_real_models(project: Run) -> None:
    run, done = project, project.first
    summary = load(run.directory, "report_summary", env="small")
    assert [row["teacher"] for row in summary["teachers"]] == [
        "qwen-0_5b-brief",
        "qwen-0_5b-steps",
        "smollm2",
    ]
    assert "qwen-0_5b-brief" in done.stdout
    responses = load(run.directory, "calibration_responses", env="small")
    assert {row["engine"] for row in responses} == {ENGINE}
    # A real model solves some of "3 + 4 =": random weights would solve none.
    quality = load(run.directory, "quality", env="small")
    assert any(row["quality"] == 1.0 for row in quality)
    # The student knows the text of its own model best.
    statistics = load(run.directory, "token_statistics", env="small")
    nll = {
        teacher: -sum(r["sum_logp"] for r in rows) / sum(r["tokens"] for r in rows)
        for teacher in ("smollm2", "qwen-0_5b-brief")
        if (rows := [r for r in statistics if r["teacher"] == teacher and r["tokens"]])
    }
    assert nll["smollm2"] < nll["qwen-0_5b-brief"]
    # Both runs of one project: nothing is paid for twice.
    run("run", "--env=small", "--pipelines=label,generate", "--redo")
    for table in ("calibration_calls", "routed_calls"):
        assert sum(row["calls"] for row in load(run.directory, table, env="small")) == 0


def test_benchmarks_of_the_student_before_and_after(project: Run) -> None:
    tasks = project.directory / "tasks"
    tasks.mkdir(exist_ok=True)
    (tasks / "sums.yaml").write_text(TASK)
    rows = [{"question": f"What is {i} + {i + 1}?", "answer": str(2 * i + 1)} for i in range(6)]
    (tasks / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = project("run", "--env=small", "--pipelines=benchmark")
    assert "sums" in done.stdout and "exact_match / last-number" in done.stdout
    comparison = load(project.directory, "benchmark_comparison", env="small")
    (row,) = comparison["rows"]
    assert row["n"] == 6
    assert 0 < row["before"] <= 1  # a real model knows some
    low, high = row["before_interval"]
    assert low < row["before"] < high
    assert comparison["tasks"]["sums"]["version"] == 1.0
    assert len(comparison["tasks"]["sums"]["config_id"]) == 32
    assert "sums" in load(project.directory, "benchmark_page", env="small")
    before = load(project.directory, "benchmark_before", env="small")
    if ENGINE == "vllm":  # the other backend says the same of the same model
        configure(project, ENGINE=ENGINE, TASK="sums", BACKEND="vllm")
        project("run", "--env=small", "--pipelines=benchmark", "--to-outputs=benchmark_before")
        other = load(project.directory, "benchmark_before", env="small")
        assert (before.pop("backend"), other.pop("backend")) == ("hf", "vllm")
        assert other == before


def test_a_benchmark_out_of_reach_is_one_sentence(project: Run) -> None:
    (project.directory / "tasks").mkdir(exist_ok=True)
    configure(project, ENGINE=ENGINE, TASK="svamp", BACKEND="hf")
    done = project(
        "run", "--env=small", "--pipelines=benchmark", check=False,
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1",
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert "Benchmark task 'svamp' could not be loaded" in line
    assert "Traceback" not in done.stderr
