"""The guide's batch APIs through the command line, on tiny random models and a server of jobs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.batch_server import Service, serve_batches
from tests.support.catalog import load

STEPS = "--pipelines=prepare,label,train_router,route,generate"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serve_batches() as running:
        running.answers = solve
        yield running


def solve(prompt: str) -> str:
    """Return the right answer to a sum of two numbers, of which most of the prompts are."""
    found = re.findall(r"(\d+) ([+-]) (\d+)", prompt)
    a, sign, b = found[-1] if found else ("0", "+", "0")
    return rf"\boxed{{{int(a) + int(f'{sign}{b}')}}}"


def write_settings(directory: Path, service: Service) -> None:
    """Write the smoke settings with the guide's hosted teachers, beside a local one."""
    guide = guides.settings("batch")
    smoke = yaml.safe_load((directory / "conf/smoke/parameters.yml").read_text())
    for name in ("gpt", "claude"):
        guide["models"][name]["endpoint"]["url"] = service.url
        smoke["models"][name] = guide["models"][name]
        smoke["teachers"][name] = guide["teachers"][name]
    smoke["teachers"] = {name: smoke["teachers"][name] for name in ("b", "gpt", "claude")}
    smoke["label"]["alpha"] = 0.0  # quality alone, and the server's answers are right
    smoke["train_router"] = {"kind": "knn", "backbone": "tiny-student"}
    (directory / "conf/mine").mkdir()
    (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("batch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_KEY", "sk-of-the-test-only")
        run = make_project(directory)
        write_settings(directory, service)
        yield run


def manifest(run: Run) -> dict[str, Any]:
    return load(run.directory, "run_manifest", "mine")  # type: ignore[attr-defined, no-any-return]


def test_a_run_waits_with_its_own_exit_code_and_the_same_command_goes_on(
    run: Run, service: Service
) -> None:
    planned = run("run", "--env=mine", "--pipelines=prepare,plan").stdout
    assert "gpt is asked by a batch API, at 0.5 of its prices" in " ".join(planned.split())

    first = run("run", "--env=mine", STEPS, check=False)
    assert first.returncode == 75, first.stderr
    sentences = [line for line in first.stderr.splitlines() if line.startswith("Waiting for ")]
    assert len(sentences) == 1 and "Traceback" not in first.stderr
    assert "teacher 'gpt' from openai batch (batch_" in sentences[0]
    assert "teacher 'claude' from anthropic batch (batch_" in sentences[0]
    assert manifest(run)["status"] == "waiting"
    n = len(next(iter(service.batches.values())).requests)
    assert manifest(run)["teachers"]["unfinished"][0]["calls"] == n  # b has answered
    assert len(service.batches) == 2

    service.end()
    second = run("run", "--env=mine", STEPS, check=False)  # the routed answers
    assert second.returncode == 75, second.stderr
    counts = {row["teacher"]: row for row in manifest(run)["teachers"]["label"]}
    assert counts.keys() == {"gpt", "claude"} and counts["gpt"]["by_batch"] == n
    assert counts["gpt"]["cost"] == pytest.approx(n * 0.5 * (11 * 0.4 + 5 * 1.6) / 1e6, abs=1e-6)

    service.end()
    run("run", "--env=mine", STEPS)
    assert set(service.sent.values()) <= {1, 2}  # each prompt once by each of the two
    rows = load(run.directory, "routed_responses", "mine")  # type: ignore[attr-defined]
    engines = {row["teacher"]: row["engine"] for row in rows}
    assert {"gpt": "openai batch", "claude": "anthropic batch"}.items() & engines.items()
    chosen = next(row for row in rows if row["teacher"] in ("gpt", "claude"))
    trace = json.loads(run("trace", chosen["prompt_id"], "--env=mine").stdout)
    assert trace["response"]["engine"].endswith(" batch")


def test_a_setting_that_anthropic_lacks_is_one_sentence_before_the_run(run: Run) -> None:
    settings = {"teachers.claude.sampling.temperature": 1.5}
    told = ",".join(f"{name}={value}" for name, value in settings.items())
    done = run("run", "--env=mine", STEPS, f"--params={told}", check=False)
    assert done.returncode == 1
    assert "Parameter teachers.claude.sampling.temperature: Anthropic's Messages API" in done.stderr
