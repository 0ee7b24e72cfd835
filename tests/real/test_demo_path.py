"""The demo's own path on the real small models, at a reduced size."""

import importlib.util

import pytest

from tests.catalog import load
from tests.conftest import make_project

pytestmark = pytest.mark.real

SMALL = """\
seed: 7
models:
  smollm2: {zoo: smollm2, family: smollm2}
  qwen-0_5b: {zoo: qwen2.5-coder-0.5b, family: qwen2.5}
teachers:
  qwen-0_5b-brief: {model: qwen-0_5b, sampling: {max_new_tokens: 48}, system: Be brief.}
  qwen-0_5b-steps: {model: qwen-0_5b, sampling: {max_new_tokens: 96}, system: Go step by step.}
  smollm2: {model: smollm2, sampling: {max_new_tokens: 48}}
student: {model: smollm2}
engine: {name: ENGINE, chunk_size: 8, max_model_len: 512, max_num_seqs: 32}
prepare:
  source:
    prompt_suffix: " Solve it and put the final number in \\\\boxed{}."
    tasks:
      - name: chain_sum
        size: 24
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
evaluate: {sampling: {max_new_tokens: 48}}
"""


def test_the_whole_job_on_real_models(tmp_path: object) -> None:
    engine = "vllm" if importlib.util.find_spec("vllm") else "transformers"
    run = make_project(tmp_path)  # type: ignore[arg-type]
    small = run.directory / "conf" / "small"
    small.mkdir()
    (small / "parameters.yml").write_text(SMALL.replace("ENGINE", engine))
    done = run("run", "--env=small")
    summary = load(run.directory, "report_summary", env="small")
    assert [row["teacher"] for row in summary["teachers"]] == [
        "qwen-0_5b-brief",
        "qwen-0_5b-steps",
        "smollm2",
    ]
    assert "qwen-0_5b-brief" in done.stdout
    responses = load(run.directory, "calibration_responses", env="small")
    assert {row["engine"] for row in responses} == {engine}
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
