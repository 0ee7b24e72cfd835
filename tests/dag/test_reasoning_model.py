"""The guide's reasoning model, on a server that refuses what the real one refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.catalog import load
from tests.support.hosted_servers import SERVERS, Seen, serve_as

SERVER = SERVERS["OpenAI's reasoning models"]
KEY = "sk-of-the-test-only"


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    with serve_as(SERVER, "/v1/chat/completions", KEY) as seen:
        yield seen


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, seen: Seen) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("reasoning")
    guide = guides.settings("reasoning_model")
    guide["models"]["thinker"]["endpoint"]["url"] = f"{seen.address}/v1"
    smoke = yaml.safe_load(Path("conf/smoke/parameters.yml").read_text())
    smoke["models"]["thinker"] = guide["models"]["thinker"]
    smoke["teachers"] = {"b": smoke["teachers"]["b"], "thinker": guide["teachers"]["thinker"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MY_KEY", KEY)
        run = make_project(directory)
        (directory / "conf/mine").mkdir()
        (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke))
        (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")
        run("run", "--env=mine", "--pipelines=prepare,label")
        yield run


def test_it_is_sent_what_it_takes_and_its_thoughts_are_paid_for(run: Run, seen: Seen) -> None:
    rows = load(run.directory, "calibration_responses", "mine")  # type: ignore[attr-defined]
    thinker = [row for row in rows if row["teacher"] == "thinker"]
    assert thinker and {(row["response"], row["error"]) for row in thinker} == {("4", None)}
    assert len(seen.bodies) == len(thinker)
    for body in seen.bodies:
        assert not {"temperature", "top_p", "seed", "max_tokens"} & body.keys()
        assert (body["max_completion_tokens"], body["reasoning_effort"]) == (4096, "low")
    calls = load(run.directory, "calibration_calls", "mine")  # type: ignore[attr-defined]
    (row,) = [row for row in calls if row["teacher"] == "thinker"]
    one = (176 * 0.25 + 1024 * 0.025 + 340 * 2.00) / 1e6  # the server's usage at the guide's prices
    assert row["cost"] == pytest.approx(len(thinker) * one)
