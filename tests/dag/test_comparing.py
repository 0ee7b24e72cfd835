"""`kedro run --pipelines=compare` through the command line, on tiny random models."""

import json
from collections import defaultdict
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from persyn_kedro.domain.comparison import TABLES, recompute
from tests.conftest import Run, make_project
from tests.support.catalog import load
from tests.support.docs import program
from tests.support.imports import FOR_MODELS, TOLD, packages_imported

STEPS = "--pipelines=prepare,label,train_router,route,compare"
TEACHERS = ["a-brief", "a-steps", "b"]


@pytest.fixture(scope="module")
def project(smoke_project: Run) -> Run:
    tracked = "--params=tracking.to=[tensorboard]"
    done = smoke_project("run", "--env=smoke", STEPS, tracked, **TOLD)
    smoke_project.first = done  # type: ignore[attr-defined]
    return smoke_project


def test_the_run_s_own_process_imports_no_library_for_models(project: Run) -> None:
    found = packages_imported(project.first)  # type: ignore[attr-defined]
    assert {"tensorboardX", "reasoning_gym"} <= found
    assert not found & FOR_MODELS


def rows(project: Run, table: str) -> list[dict[str, Any]]:
    return load(project.directory, table)


def by_strategy(table: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table:
        found[row["strategy"]].append(row)
    return found


def check_publication(project: Run) -> None:
    """Compare what docs/results.py computes from the published tables with the step's figures."""
    made = Path(load(project.directory, "comparison_data"))
    tables = {name: pq.read_table(made / f"{name}.parquet") for name in TABLES}
    found, routers = recompute(tables, json.loads((made / "about.json").read_text()))
    assert found == load(project.directory, "strategy_comparison")
    assert routers == load(project.directory, "router_comparison")
    assert not {"prompt", "response"} & {c for table in tables.values() for c in table.column_names}
    assert sum(path.stat().st_size for path in made.iterdir()) < 200_000
    text = "A\n<!-- docs/data/x: students -->\nold\n<!-- end -->\nB\n"
    copied = project.directory / "published"
    copied.mkdir(exist_ok=True)
    (copied / "x").unlink(missing_ok=True)
    (copied / "x").symlink_to(made)
    new = program("results").page(text, copied)
    assert "old" not in new and new.startswith("A\n") and new.endswith("B\n")
    page = unescape(load(project.directory, "comparison_page"))
    for line in new.splitlines()[5:-2]:
        for cell in filter(None, line.strip("| ").split(" | ")):
            assert cell in page, cell


def test_all_strategies_are_trained_on_the_same_prompts(project: Run) -> None:
    examples = by_strategy(rows(project, "strategy_examples"))
    whole = {"persyn", "persyn_alpha_1", "strong", "random"}
    assert set(examples) == {*whole, "oracle", "persyn_calibration"}
    split = {row["prompt_id"]: row for row in rows(project, "prompts")}
    trained = {
        p for p, row in split.items() if row["split"] != "test" and row["part"] != "withheld"
    }
    calibration = {p for p in trained if split[p]["split"] == "calibration"}
    for name, own in examples.items():
        prompts = [row["prompt_id"] for row in own]
        assert len(prompts) == len(set(prompts))
        assert set(prompts) == (trained if name in whole else calibration)
    (strong,) = {row["teacher"] for row in examples["strong"]}
    assert load(project.directory, "strategy_notes")["teachers"] == {"strong": strong}


def test_every_student_answers_the_same_test_prompts(project: Run) -> None:
    test = {row["prompt_id"] for row in rows(project, "prompts") if row["split"] == "test"}
    trials = rows(project, "trials")
    for name, own in by_strategy(trials).items():
        assert {row["seed"] for row in own} == ({None} if name == "untrained" else {1})
        assert {row["prompt_id"] for row in own} == test
    # The same training set, the same student: trained once, told twice.
    sets = {n: [r["response_key"] for r in own] for n, own in
            by_strategy(rows(project, "strategy_examples")).items()}  # fmt: skip
    answers = {n: [r["response_key"] for r in own] for n, own in by_strategy(trials).items()}
    for name in sets:
        for other in sets:
            assert (sets[name] == sets[other]) == (answers[name] == answers[other])


def test_only_what_the_store_lacks_is_paid_for(project: Run) -> None:
    calls = sum(row["calls"] for row in rows(project, "strategy_calls"))
    labelled = {row["response_key"] for row in rows(project, "calibration_responses")}
    routed = {row["response_key"] for row in rows(project, "routed_responses")}
    wanted = {row["response_key"] for row in rows(project, "strategy_responses")}
    assert 0 < calls == len(wanted - labelled - routed)
    tokens = by_strategy(rows(project, "strategy_tokens"))
    asked = by_strategy(rows(project, "strategy_responses"))
    assert set(tokens) == set(asked)
    for name, own in tokens.items():
        keys = {r["response_key"] for r in asked[name]}
        needed = set() if name == "random" else labelled
        assert sum(row["calls"] for row in own) == len(keys)
        assert sum(row["whole_calls"] for row in own) == len(keys | needed)


def test_each_prompt_is_scored_by_routers_that_did_not_see_it(project: Run) -> None:
    scores = rows(project, "router_scores")
    calibration = {row["prompt_id"] for row in rows(project, "calibration_set")}
    plans: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for row in scores:
        plans[row["kind"], row["size"]].append(row)
    assert set(plans) == {(k, s) for k in ("language_model", "knn") for s in (0.5, 1.0)}
    for (_, size), own in plans.items():
        assert {row["prompt_id"] for row in own} == calibration
        for row in own:
            others = [r for r in own if r["fold"] != row["fold"]]
            assert row["fitted_on"] <= round(size * len(others))


def test_the_page_and_the_terminal_say_the_same(project: Run) -> None:
    page = load(project.directory, "comparison_page")
    assert page.count("<svg") == page.count('<div class="drawing"') == 5
    for plot in (
        "score_against_tokens_plot score_against_alpha_plot teachers_by_kind_plot "
        "router_calibration_plot router_learning_curve"
    ).split():
        drawn = load(project.directory, plot)
        assert drawn["data"] or drawn["layout"]["annotations"]  # or why there is nothing to draw
    comparison = load(project.directory, "strategy_comparison")
    printed = " ".join(project.first.stdout.split())
    for name in comparison["strategies"]:
        assert name in page and name in printed
    for sentence in comparison["verdicts"]:
        assert sentence in printed
    check_publication(project)


def test_a_second_comparison_trains_and_asks_nobody(project: Run) -> None:
    again = project("run", "--env=smoke", "--pipelines=compare", "--redo")
    assert "Student " not in again.stdout  # no student, no router is fitted again
    assert "routers to fit" not in again.stdout
    assert sum(row["calls"] for row in rows(project, "strategy_calls")) == 0
    skipped = project("run", "--env=smoke", "--pipelines=compare", "--params=compare.resamples=300")
    assert "Running compare.compare_strategies: compare.resamples was 200, is 300" in skipped.stdout
    assert "Skipped compare.train_and_test_students" in skipped.stdout


def test_prices_count_in_the_costs_alone(project: Run) -> None:
    done = project("run", "--env=smoke", "--pipelines=compare", "--params=teachers.b.price=1000000")
    assert "Running compare.compare_strategies: teachers.b.price was 0.0, is 1000000" in done.stdout
    assert "Skipped compare.generate_strategies" in done.stdout
    comparison = load(project.directory, "strategy_comparison")
    tokens = by_strategy(rows(project, "strategy_tokens"))
    for name, row in comparison["strategies"].items():
        spent = sum(r["completion_tokens"] for r in tokens[name] if r["teacher"] == "b")
        assert row["cost"]["cost"] == spent


def test_signals_are_tried_and_compared_with_what_is_paid_for_and_reported(project: Run) -> None:
    tried = project("run", "--env=smoke", "--pipelines=fit_signal",
                    "--params=fit_signal.teachers=true", **TOLD)  # fmt: skip
    for teacher_model in ("tiny-a", "tiny-b"):
        assert f"{teacher_model}: generating" not in tried.stdout
    held = {row["prompt_id"] for row in rows(project, "signal_test_set")}
    examples = by_strategy(rows(project, "signal_examples"))
    assert {"mean_log_likelihood_alpha_0.4", "rank_surprisal_alpha_0.4", "teacher_b"} <= set(
        examples
    )
    calibration = {row["prompt_id"] for row in rows(project, "calibration_set")}
    paid = {row["response_key"] for row in rows(project, "calibration_responses")}
    lengths = {row["response_key"]: row["tokens"] for row in rows(project, "token_statistics")}
    notes = load(project.directory, "signal_notes")
    for own in examples.values():
        assert {row["prompt_id"] for row in own} <= calibration - held
        assert {row["response_key"] for row in own} <= paid
        assert sum(lengths[row["response_key"]] for row in own) <= notes["budget"]
    trials = by_strategy(rows(project, "signal_trials"))
    assert set(trials) == {"untrained", *examples}
    assert all({row["prompt_id"] for row in own} == held for own in trials.values())
    fit = load(project.directory, "signal_fit")

    (project.directory / "my_judge.py").write_text(
        "def shorter(prompt, response, reference):\n    return -len(response)\n"
    )
    kinds = {"exact": {"kind": "exact_answer"}, "shorter": {"kind": "my_judge.py:shorter"}}
    judge = f"--params=compare_quality.kinds={json.dumps(kinds)}"
    done = project("run", "--env=smoke", "--pipelines=compare_signals,compare_quality", judge)
    judged = load(project.directory, "quality_comparison")
    qualities = {
        (row["term"], row["response_key"]): row["quality"] for row in rows(project, "judgements")
    }
    for row in rows(project, "quality"):  # in the store: not checked again
        assert qualities["exact", row["response_key"]] == row["quality"]
    assert "from the store" in done.stdout and judged["verdicts"][0] in " ".join(
        done.stdout.split()
    )
    assert [row["kind"] for row in judged["kinds"]] == list(kinds)
    assert judged["kinds"][1]["length"]["value"] == pytest.approx(-1.0)
    compared = load(project.directory, "signal_comparison")
    sets = {tuple(sorted(r["response_key"] for r in own)) for own in examples.values()}
    assert compared["students"]["fit_signal"] == len(sets) and compared["students"]["compare"] > 1
    again = project("run", "--env=smoke", "--pipelines=fit_signal,compare_signals,evaluate",
                    "--params=fit_signal.teachers=true")  # fmt: skip
    assert "Skipped fit_signal.train_adapters" in again.stdout
    assert "Skipped compare_signals.compare_rewards" in again.stdout
    told = " ".join(again.stdout.split()).partition("Running evaluate.summarise: ")[2]
    for name in ("signal_comparison", "signal_fit", "quality_comparison"):
        assert f"{name}_before" in told.partition(" changed")[0]
    page = unescape(load(project.directory, "report"))
    for sentence in [*compared["verdicts"], *fit["verdicts"], *judged["verdicts"]]:
        assert sentence in page
    assert not packages_imported(tried) & FOR_MODELS


def test_a_comparison_without_test_prompts_is_refused_before_a_teacher_is_asked(
    tmp_path: Path,
) -> None:
    run = make_project(tmp_path)
    done = run("run", "--env=smoke", STEPS, "--params=prepare.test_fraction=0", check=False)
    assert done.returncode == 1
    assert "There are no test prompts to compare students on" in done.stderr
    assert ": generating " not in done.stdout


def test_a_missing_input_names_the_steps_to_run(tmp_path: Path) -> None:
    run = make_project(tmp_path)
    done = run("run", "--env=smoke", "--pipelines=compare", check=False)
    assert done.returncode == 1
    assert "run `kedro run --pipelines=prepare,label,train_router,route`" in done.stderr
    nodes = "--from-nodes=compare.compare_strategies"
    done = run("run", "--env=smoke", "--pipelines=compare", nodes, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert ",compare`" in done.stderr


def test_other_routers_rewards_and_named_teachers_are_compared_at_equal_tokens(
    project: Run,
) -> None:
    # Last: it splits the prompts anew, so that nothing else here belongs together afterwards.
    variants = {
        "by_ranks": {"router": "near", "learnability": "rank_surprisal"},
        "just_b": {"teacher": "b"},
    }
    named = {"near": {"kind": "knn", "neighbours": 2}}
    compare = {
        "strategies": ["persyn", "best_constant", "task_type", "random", "oracle"],
        "variants": variants,
        "alphas": [],
        "examples": "equal_tokens",
        "tokens": 260,  # about six prompts' calibration answers, and those of train prompts
        "intervals": "simultaneous",
    }
    given = [f"compare.{key}={json.dumps(value)}" for key, value in compare.items()]
    given += [f"compare_routers.routers={json.dumps(named)}", "prepare.calibration_fraction=0.2"]
    given += ["prepare.withheld_fraction=0"]
    done = project("run", "--env=smoke", STEPS, f"--params={','.join(given)}")
    comparison = load(project.directory, "strategy_comparison")
    assert set(comparison["strategies"]) == {
        "persyn", "best_constant", "task_type", "random", "oracle", "persyn_calibration", *variants
    }  # fmt: skip
    scores = by_strategy(rows(project, "variant_scores"))
    assert set(scores) == {"task_type", "by_ranks"}
    chosen = {n: {r["prompt_id"]: r["choices"] for r in own} for n, own in
              by_strategy(rows(project, "allocations")).items()}  # fmt: skip
    for name, own in scores.items():
        for row in own:
            best = TEACHERS[row["scores"].index(max(row["scores"]))]
            assert chosen[name].get(row["prompt_id"], [best])[0] == best
    assert all(choice == ["b"] for choice in chosen["just_b"].values())

    budget = load(project.directory, "budget_notes")
    tokens = by_strategy(rows(project, "strategy_tokens"))
    prompts = by_strategy(rows(project, "strategy_prompts"))
    for name, own in tokens.items():
        spent = sum(row["whole_completion_tokens"] for row in own)
        chosen_by = spent - sum(row["added_tokens"] for row in prompts[name])
        assert (chosen_by > 0) == (name not in ("random", "just_b"))
        if name in ("oracle", "persyn_calibration"):
            continue
        assert (spent < budget["tokens"]) == (name in budget["ran_out"])
        assert spent <= budget["tokens"] + max(row["completion_tokens"] for row in prompts[name])
    assert len(prompts["just_b"]) > len(prompts["persyn"])
    told = " ".join(done.stdout.split())
    assert comparison["equal"] in told and f"{budget['tokens']} of completions" in told
    assert "all intervals of a column cover at once" in told
    assert unescape(load(project.directory, "comparison_page")).count(comparison["equal"]) == 1
    check_publication(project)
