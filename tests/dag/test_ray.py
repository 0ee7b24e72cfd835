"""The same on a Ray cluster of two nodes, one of which dies at work."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from persyn_kedro.domain import teachers
from persyn_kedro.domain.learnability import scoring
from persyn_kedro.domain.learnability.statistics import student_scorer
from persyn_kedro.domain.quality import checking, reward_model
from persyn_kedro.domain.routers import route
from persyn_kedro.domain.routers.jobs import prompt_scorer
from persyn_kedro.domain.stores.tables import QualityStore, ResponseStore, StatisticsStore
from persyn_kedro.domain.teachers import resolve_recipes
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel, resolve_model
from persyn_kedro.foundations.processes import target as cluster
from persyn_kedro.foundations.processes.map_blocks import spread
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models, ModelSettings
from persyn_kedro.foundations.settings.route import RouteSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.route import nodes as route_nodes
from tests.conftest import Run, make_project
from tests.support.catalog import load
from tests.support.random_judge import make_judge
from tests.support.ray_nodes import PAUSE, Nodes, slowly, two_nodes
from tests.support.same_data import differences, newest_data


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with two_nodes() as running:
        yield running


def test_the_smoke_run_through_two_nodes_equals_the_local_one(
    nodes: Nodes, smoke_run: Run, tmp_path: Path
) -> None:
    run = make_project(tmp_path)
    # Each teacher on a node of its own; that several actors share a model's work is shown below.
    changes = "engine.name=ray,engine.inside=transformers"
    address = f"cluster.address={nodes.settings.address}"
    run("run", "--env=smoke", f"--params={changes},{address}")
    ours, theirs = newest_data(tmp_path), newest_data(smoke_run.directory)  # type: ignore
    assert {row["engine"] for row in ours["routed_responses"]["rows"]} == {"ray"}
    assert list(differences(ours, theirs, apart=["*/engine"])) == []


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence of a run that was refused before its first step."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr + done.stdout and "Running " not in done.stdout
    return " ".join(done.stderr.partition("Error: ")[2].split())


def test_what_is_not_there_stops_a_run_that_needs_it_before_its_first_step(
    smoke_project: Run,
) -> None:
    dead = "--params=cluster.address=127.0.0.1:9"
    three = "cluster.training_processes=3,cluster.sharding=fsdp"
    done = smoke_project("run", "--env=smoke", f"{dead},{three}")
    assert "Skipped route." in done.stdout and "Running " not in done.stdout
    smoke_project("run", "--env=smoke", "--pipelines=prepare", "--redo", dead)
    auto = ("--pipelines=prepare,route", "--redo", "--params=cluster.address=auto")
    found = smoke_project("run", "--env=smoke", *auto, check=False, RAY_ADDRESS="127.0.0.1:9")
    assert "No Ray cluster answers at cluster.address 'auto'" in refusal(found)
    shards = ("--pipelines=prepare,sft", "--redo", f"--params={three}")
    found = smoke_project("run", "--env=smoke", *shards, check=False)
    assert refusal(found).startswith("Model 'tiny-student': 260 rows of tied embeddings cannot")


def with_a_kill(nodes: Nodes, marks: Path, work: Any) -> Any:
    """Return what ``work`` returns although the second node is killed in the middle of it."""
    marks.mkdir()
    with ThreadPoolExecutor(1) as thread:
        killed = thread.submit(nodes.kill_second_once_it_works, marks)
        result = work()
        assert killed.done(), "the work had ended before"
        killed.result()
    nodes.start_another()
    return result


MODELS = Models({n: {"random": "chat", "random_seed": i, "dtype": "float32"}
                 for i, n in enumerate("ab", 1)})  # fmt: skip
TEACHERS = Teachers(
    {n: {"model": n, "sampling": {"max_new_tokens": 4, "temperature": 1.0}} for n in "ab"}
)
PROMPTS = [(f"id{n}", f"What is {n} + {n}?") for n in range(40)]
ENGINE = EngineSettings(name="transformers", chunk_size=4, batch_size=1, max_model_len=256)
SLOW = """
import time
from pathlib import Path
from persyn_kedro.domain.engines import engine_of
from tests.support.ray_nodes import leave_mark

def generate(requests, model, engine):
    leave_mark(Path({marks!r}))
    time.sleep({pause})
    transformers = engine_of(model, engine.model_copy(update={{"name": "transformers"}}))
    yield from transformers.generate(requests)
"""


def stored_keys(store: Path) -> Counter[str]:
    parts = store.rglob("part-*.parquet")
    return Counter(k for part in parts for k in pq.read_table(part)["response_key"].to_pylist())


def test_a_node_that_dies_while_teachers_answer_costs_no_answer(
    nodes: Nodes, tmp_path: Path
) -> None:
    recipes = resolve_recipes(TEACHERS, MODELS)
    wanted = dict.fromkeys("ab", PROMPTS)
    local, _ = teachers.answer(wanted, recipes, ResponseStore(tmp_path / "local"), ENGINE, 0)
    marks = tmp_path / "marks"
    (tmp_path / "slow.py").write_text(SLOW.format(marks=str(marks), pause=PAUSE))
    engine = ENGINE.model_copy(
        update={"name": "ray", "inside": f"{tmp_path}/slow.py:generate", "models_at_once": 2}
    )
    store = ResponseStore(tmp_path / "ray")
    with cluster.using(nodes.settings):
        found, calls = with_a_kill(
            nodes, marks, lambda: teachers.answer(wanted, recipes, store, engine, 0)
        )
    assert set(found["engine"].to_pylist()) == {"ray"}
    assert found.drop_columns("engine").equals(local.drop_columns("engine"))
    assert [row["calls"] for row in calls.to_pylist()] == [40, 40]
    assert set(stored_keys(tmp_path / "ray").values()) == {1}
    assert len(list(marks.iterdir())) >= 2


def test_a_node_that_dies_while_the_student_scores_costs_no_score(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = resolve_model("a", MODELS.root["a"])
    rows = [{"prompt_id": p, "teacher": "t", "response_key": p, "response": text * 3,
             "finish_reason": "stop"} for p, text in PROMPTS]  # fmt: skip
    responses = pa.Table.from_pylist(rows, schemas.RESPONSES)
    monkeypatch.setattr(scoring, "BLOCK", 4)

    def score(store: Path) -> pa.Table:
        thinks, settings = {"t": "keep"}, LabelSettings()
        return scoring.score_responses(
            responses, dict(PROMPTS), thinks, student, None, StatisticsStore(store), settings
        )

    local, marks = score(tmp_path / "local"), tmp_path / "marks"
    monkeypatch.setattr(scoring, "student_scorer", partial(slowly, marks, student_scorer))
    with cluster.using(nodes.settings):
        found = with_a_kill(nodes, marks, lambda: score(tmp_path / "ray"))
    assert found.equals(local)
    assert set(stored_keys(tmp_path / "ray").values()) == {1}


def judge_at(directory: Path) -> ResolvedModel:
    make_judge(directory, 2)
    return resolve_model("judge", ModelSettings(local=str(directory), dtype="float32"))


def test_a_reward_model_in_actors_gives_the_scores_of_one_machine(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = judge_at(tmp_path / "judge")
    rows = [{"prompt_id": p, "teacher": "t", "response_key": p, "response": text * (n % 5),
             "finish_reason": "stop"} for n, (p, text) in enumerate(PROMPTS)]  # fmt: skip
    responses = pa.Table.from_pylist(rows, schemas.RESPONSES)
    prompts = {
        p: {"prompt": text, **dict.fromkeys(("messages", "reference", "metadata"))}
        for p, text in PROMPTS
    }
    monkeypatch.setattr(reward_model, "_BLOCK", 8)

    def check(store: Path) -> pa.Table:
        return checking.check_quality(
            responses,
            prompts,
            {"t": "keep"},
            reward_model.RewardModel(judge, 2),
            QualityStore(store),
        )

    local, marks = check(tmp_path / "local"), tmp_path / "marks"
    marks.mkdir()

    def spread_slowly(scorer: Any, *args: Any, **more: Any) -> Any:
        return spread(partial(slowly, marks, scorer), *args, **more)

    monkeypatch.setattr(reward_model, "spread", spread_slowly)
    with cluster.using(nodes.settings):
        found = check(tmp_path / "ray")
    assert found.equals(local)
    scores = found["quality"].to_pylist()
    assert scores.count(None) == 8 and len(set(scores)) > 20  # no answer, no score
    assert list(marks.iterdir())  # the actors'


def test_a_node_that_does_not_see_what_the_run_made_says_where_data_must_be(
    nodes: Nodes, tmp_path: Path
) -> None:
    trained = judge_at(tmp_path / "student")
    shutil.rmtree(tmp_path / "student")  # stands for another node's own disk
    work = {
        tmp_path / "student": (student_scorer, trained, None, "float32", 64, 64),
        tmp_path / "router": (prompt_scorer, tmp_path / "router", [], 4),
    }
    for path, job in work.items():
        told = f"^{path} does not exist on .*several machines, `data` must be a URL"
        with cluster.using(nodes.settings), pytest.raises(PersynError, match=told):
            list(spread(*job, items=["What is 2 + 2?"], block=1, label="scoring"))


def test_a_node_that_dies_while_routing_costs_no_prompt(
    nodes: Nodes, smoke_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    raw = yaml.safe_load((smoke_run.directory / "conf/smoke/parameters.yml").read_text())
    models, teachers = Models(raw["models"]), Teachers(raw["teachers"])
    router = smoke_run.directory / load(smoke_run.directory, "router")  # type: ignore
    rows = [{"prompt_id": p, "prompt": t, "messages": None} for p, t in PROMPTS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    prompts = pads.dataset(tmp_path / "prompts.parquet")
    monkeypatch.setattr(route, "BLOCK", 4)

    def routed() -> pa.Table:
        settings = RouteSettings(batch_size=4)
        unread = GenerateSettings(), prompts, {}, prompts, prompts
        given = prompts, router, models, teachers, settings, *unread
        return route_nodes.route_prompts(*given).read_all()  # type: ignore[arg-type]

    local, marks = routed(), tmp_path / "marks"
    monkeypatch.setattr(route, "prompt_scorer", partial(slowly, marks, prompt_scorer))
    with cluster.using(nodes.settings):
        found = with_a_kill(nodes, marks, routed)
    assert found.equals(local)
