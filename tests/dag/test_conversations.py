"""The guide's conversations through the whole DAG, on tiny random models, beside plain prompts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.catalog import load
from tests.support.imports import FOR_MODELS, TOLD, packages_imported
from tests.support.talks import STRICT

SUM = "What is {0} plus {1}?"
ROLES = {"system", "user", "assistant"}


def talk(number: int) -> dict[str, Any]:
    """Return a row in one of the forms, in turn."""
    ask, then = SUM.format(number, 1), SUM.format(number, 2)
    system = [{"role": "system", "content": "Tutor a child."}]
    turns = [ask, f"It is {number + 1}.<|im_end|>", then]
    messages = [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(turns)]
    sharegpt = [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(turns)]
    answered = {"role": "assistant", "content": f"{number + 2}"}
    return [
        {"prompt": ask, "reference": f"{number + 1}"},
        {"messages": [*system, *messages], "reference": f"{number + 2}"},
        {"conversations": sharegpt, "reference": f"{number + 2}"},
        {"messages": [*messages, answered]},
    ][number % 4]


def write_settings(directory: Path) -> None:
    """Write the smoke settings with the guide's source, teachers' rule and a student's system."""
    guide = guides.settings("conversations")
    smoke = yaml.safe_load((directory / "conf/smoke/parameters.yml").read_text())
    smoke["prepare"]["source"] = {**guide["prepare"]["source"], "keep": ["subject", "id"]}
    smoke["student"]["system"] = "Be a student."
    smoke["compare_routers"] = {"kinds": ["knn"], "folds": 2, "sizes": [1.0], "resamples": 100}
    smoke["compare"] = {**smoke["compare"], "strategies": ["persyn", "strong"], "alphas": []}
    given = [teacher["row_system"] for teacher in guide["teachers"].values()]
    for teacher, rule in zip(("a-brief", "a-steps"), given, strict=True):
        smoke["teachers"][teacher]["row_system"] = rule
    (directory / "conf/mine").mkdir()
    (directory / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (directory / "conf/mine/globals.yml").write_text("data: data/mine\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("talks")
    run = make_project(directory)
    write_settings(directory)
    (guide,) = (guide for guide in guides.GUIDES if guide.stem == "conversations")
    rows = [row for text in guides.blocks(guide, "jsonl") for row in text.splitlines()]
    rows += [json.dumps({**talk(n), "subject": f"s{n % 2}", "id": n}) for n in range(36)]
    (directory / "my_chats.jsonl").write_text("\n".join(rows))
    run.first = run("run", "--env=mine", **TOLD)  # type: ignore[attr-defined]
    yield run


def table(run: Run, name: str) -> list[dict[str, Any]]:
    return load(run.directory, name, "mine")  # type: ignore[attr-defined]


def test_the_run_s_own_process_imports_no_library_for_models(run: Run) -> None:
    assert not packages_imported(run.first) & FOR_MODELS  # type: ignore[attr-defined]


def test_every_prompt_is_labelled_routed_and_answered(run: Run) -> None:
    prompts = {row["prompt_id"]: row for row in table(run, "prompts")}
    assert len(prompts) == 40
    assert sum(row["messages"] is None for row in prompts.values()) == 11
    answers = table(run, "calibration_responses") + table(run, "routed_responses")
    assert {a["prompt_id"] for a in answers} == {
        p for p, row in prompts.items() if row["split"] != "test"
    }
    assert all(answer["error"] is None for answer in answers)
    scored = table(run, "token_statistics")
    assert any(row["tokens"] for row in scored)
    assert all(bool(row["tokens"]) == bool(row["logp"]) for row in scored)
    assert len(table(run, "assignments")) == 40
    assert {r["prompt_id"] for r in table(run, "test_responses_after")} == {
        p for p, row in prompts.items() if row["split"] == "test"
    }


def test_the_training_set_has_whole_conversations_and_the_students_system_last(run: Run) -> None:
    prompts = {row["prompt_id"]: row for row in table(run, "prompts")}
    rows = table(run, "sft_dataset")
    assert {tuple(m["role"] for m in row["prompt"]) for row in rows} >= {
        ("system", "user"), ("system", "user", "assistant", "user"),
    }  # fmt: skip
    for row in rows:
        asked = prompts[row["prompt_id"]]
        own = asked["messages"] or [{"role": "user", "content": asked["prompt"]}]
        given = own[0]["content"] + "\n\n" if own[0]["role"] == "system" else ""
        system, *turns = row["prompt"]
        assert system == {"role": "system", "content": given + "Be a student."}
        assert turns == [message for message in own if message["role"] != "system"]
        assert [message["role"] for message in row["completion"]] == ["assistant"]


def test_explain_trace_and_report_show_a_transcript(run: Run) -> None:
    row = next(r for r in table(run, "sft_dataset") if len(r["prompt"]) == 4)
    done = run("explain", row["prompt_id"], "--env=mine", "--json")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert "\n\nAssistant: " in found["prompt"]
    asked = next(r for r in table(run, "prompts") if r["prompt_id"] == row["prompt_id"])["messages"]
    chat = run.directory / "chat.json"  # type: ignore[attr-defined]
    chat.write_text(json.dumps({"messages": asked}))
    done = run("explain", f"--messages={chat}", "--env=mine", "--json")
    assert json.loads(done.stdout[done.stdout.index("{") :]) == found
    done = run("trace", row["prompt_id"], "--env=mine")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["prompt"]["messages"][-1] == row["prompt"][-1]
    assert found["prompt"]["prompt"].endswith(row["prompt"][-1]["content"])


def test_explain_takes_a_conversation_that_is_new(run: Run) -> None:
    messages = [{"role": "user", "content": t} for t in ("Hello.", "What is 90 plus 7?")]
    messages.insert(1, {"role": "assistant", "content": "Hello!"})
    done = run("explain", f"--messages={json.dumps(messages)}", "--env=mine", "--json")
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["split"] is None
    assert "What is 90 plus 7?" in found["prompt"]
    assert {row["teacher"] for row in found["teachers"]} == {"a-brief", "a-steps", "b"}


def test_cards_and_manifest_name_how_system_messages_meet(run: Run) -> None:
    done = run("run", "--env=mine", "--pipelines=export", **TOLD)
    exports = run.directory / "data/mine/09_export/dataset"  # type: ignore[attr-defined]
    (card,) = exports.rglob("README.md")
    assert "a prompt's own system message is" in card.read_text()
    manifest = load(run.directory, "run_manifest", env="mine")  # type: ignore[attr-defined]
    assert set(manifest["row_system"].values()) <= {"row", "teacher"}
    assert not packages_imported(done) & FOR_MODELS


def test_nothing_is_redone_or_asked_again(run: Run) -> None:
    done = run("run", "--env=mine")
    assert " Running " not in done.stdout
    run("run", "--env=mine", "--pipelines=plan")
    plan = {(row["step"], row["teacher"]): row["calls"] for row in table(run, "plan")}
    assert {calls for (step, _), calls in plan.items() if step != "evaluate"} == {0}
    assert plan["evaluate", "student before"] == 0


def test_strategies_are_compared_and_the_set_exported_with_conversations(run: Run) -> None:
    upto = "--to-outputs=router_comparison,strategy_examples"
    run("run", "--env=mine", "--pipelines=compare_routers,compare", upto)
    examples = table(run, "strategy_examples")
    assert any(row["messages"] for row in examples) and not all(row["messages"] for row in examples)
    run("run", "--env=mine", "--pipelines=export")
    import pyarrow.parquet as pq

    (file,) = (run.directory / "data/mine/09_export").rglob("train.parquet")  # type: ignore
    exported = pq.read_table(file)
    chats = exported["messages"].to_pylist()
    assert {m["role"] for chat in chats for m in chat} == ROLES
    assert all(chat[-1]["role"] == "assistant" for chat in chats)
    assert max(map(len, chats)) == 5
    pairs = zip(exported["subject"].to_pylist(), exported["id"].to_pylist(), strict=True)
    assert {(subject, number) for subject, number in pairs if number} <= {
        (f"s{n % 2}", f"{n}") for n in range(36)
    }
    assert set(exported["subject"].to_pylist()) >= {"s0", "s1"}


def test_a_template_that_rejects_a_role_stops_the_run_before_any_call(tmp_path: Path) -> None:
    run = make_project(tmp_path)
    smoke = yaml.safe_load((tmp_path / "conf/smoke/parameters.yml").read_text())
    smoke["prepare"]["source"] = {"file": "tools.jsonl"}
    student = smoke["models"][smoke["student"]["model"]]
    smoke["models"]["strict"] = {**student, "chat_template": STRICT}
    smoke["student"]["model"] = "strict"
    (tmp_path / "conf/mine").mkdir()
    (tmp_path / "conf/mine/parameters.yml").write_text(yaml.safe_dump(smoke, sort_keys=False))
    (tmp_path / "conf/mine/globals.yml").write_text("data: data/mine\n")
    tool = [
        {"role": "user", "content": "What is 2 plus 1?"},
        {"role": "tool", "content": "3"},
        {"role": "user", "content": "Well?"},
    ]
    rows = [{"prompt": SUM.format(n, 1), "reference": f"{n + 1}"} for n in range(30)]
    lines = map(json.dumps, [*rows, {"messages": tool, "reference": "3"}])
    (tmp_path / "tools.jsonl").write_text("\n".join(lines))
    done = run("run", "--env=mine", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert "cannot be given to model 'strict' (student.model) as messages of" in line
    assert "user, tool, user; leave out such rows" in line
    assert "No tools here." in line
    assert not list((tmp_path / "data/mine").rglob("calibration_responses"))
