"""What a run will take, against numbers worked out by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from persyn_kedro.domain.planning.actual import against_actual
from persyn_kedro.domain.planning.plan import estimate_table, make_plan
from persyn_kedro.domain.planning.prompts import read_prompts
from persyn_kedro.domain.planning.work import Work
from persyn_kedro.domain.routers.assignment import with_pool
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import make_recipes, pool_identity
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.rounds import RoundsSettings
from persyn_kedro.foundations.settings.student import EvaluateSettings, SftSettings, StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset

# 4 bytes a token: 40 bytes are 10 tokens, with 16 of the template 26 (no system message).
PROMPT = "x" * 40
SPLITS = ["calibration"] * 2 + ["train"] * 4 + ["test"] * 3
IDS = [text_id(f"{i}") for i in range(len(SPLITS))]


def prompts(rounds: int = 1, **label: Any) -> Any:
    rows = [
        {"prompt_id": i, "prompt": PROMPT, "split": split, "part": "fit"}
        for i, split in zip(IDS, SPLITS, strict=True)
    ]
    known, counted = LabelSettings(**label), RoundsSettings(count=rounds)
    return read_prompts(dataset(rows, schemas.PROMPTS), work().teachers, known, counted, 0)


def work(**generate: Any) -> Work:
    endpoint = {"endpoint": {"url": "http://h/v1", "model": "m"}}
    models = {"far": endpoint, "tiny": {"random": "chat", "random_seed": 1}}
    teachers = {
        "cheap": {"model": "far", "sampling": {"max_new_tokens": 100}, "price": 1.0},
        "dear": {
            "model": "far",
            "sampling": {"max_new_tokens": 200},
            "price": 10.0,
            "prompt_price": 2.0,
        },
    }
    return Work(
        Models.model_validate(models),
        Teachers.model_validate(teachers),
        StudentSettings(model="tiny"),
        EngineSettings(),
        GenerateSettings(**generate),
        SftSettings(epochs=2),
        EvaluateSettings(),
    )


def store_answers(
    store: ResponseStore,
    work: Work,
    teacher: str,
    ids: list[str],
    engine: str = "openai",
    model: str = "far",
    cached: int | None = None,
) -> None:
    """Put answers of 20 tokens to prompts of 30 into the store; imported ones say nothing."""
    models = resolve_models(work.models, [model])
    recipe = next(r for r in make_recipes(work.teachers, models) if r.teacher == teacher)
    rows = [
        {
            "response_key": recipe.response_key(i),
            "weights_id": recipe.weights_id,
            "recipe_id": recipe.recipe_id,
            "prompt_id": i,
            "sample_index": 0,
            "response": "yes",
            "finish_reason": "stop",
            "prompt_tokens": 0 if engine == "import" else 30,
            "completion_tokens": 0 if engine == "import" else 20,
            "cached_prompt_tokens": cached,
            "error": None,
            "engine": engine,
        }
        for i in ids
    ]
    store.append(recipe.shelf, rows)


def by_place(plan: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["step"], row["teacher"]): row for row in plan.to_pylist()}


def test_calls_tokens_and_costs_on_an_empty_store(tmp_path: Path) -> None:
    asked = prompts()
    plan, summary = make_plan(asked, None, work(), ResponseStore(tmp_path))
    rows = by_place(plan)
    dear = rows["label", "dear"]
    assert (dear["calls"], dear["prompt_tokens"], dear["completion_tokens"]) == (2, 52, 400)
    assert dear["cost"] == pytest.approx((52 * 2 + 400 * 10) / 1e6) == dear["most_cost"]
    assert rows["generate", "dear"]["calls"] == rows["generate", "cheap"]["calls"] == 2
    assert rows["evaluate", "student before"]["calls"] == 3
    # METHOD section 4, K = 2, n = 2, N = 6: K n + (N - n) against K N.
    assert summary["now"]["calls"] == 2 * 2 + 4
    assert summary["generate_then_select"]["calls"] == 2 * 6
    assert summary["generate_then_select"]["completion_tokens"] == 6 * 100 + 6 * 200
    low, high = summary["routed_cost_range"]
    assert low == pytest.approx(4 * 100 / 1e6)
    assert high == pytest.approx(4 * (26 * 2 + 200 * 10) / 1e6)
    # Both teachers' answers of 126 and 226 tokens: scored twice each, trained on in the mean.
    assert summary["student"]["tokens_to_score"] == 2 * (126 + 226)
    assert summary["student"]["tokens_to_train_on"] == 2 * 6 * (126 + 226) / 2


@pytest.mark.parametrize("adaptive", [False, True])
def test_an_incomplete_design_counts_what_it_asks(adaptive: bool, tmp_path: Path) -> None:
    """Of two teachers each prompt has one: the settings' 2 would be all of this small pool."""
    asked = replace(
        prompts(), asked={"cheap": pa.array(IDS[:1]), "dear": pa.array(IDS[1:2])}, adaptive=adaptive
    )
    plan, summary = make_plan(asked, None, work(), ResponseStore(tmp_path))
    rows = by_place(plan)
    assert rows["label", "dear"]["calls"] == rows["label", "cheap"]["calls"] == 1
    most = rows["label", "dear"]["most_completion_tokens"]
    assert most == (400 if adaptive else 200)  # it may ask the other prompt too
    # A routed calibration prompt is a call where its teacher was not asked: 4 + 1, halved.
    assert rows["generate", "dear"]["calls"] == rows["generate", "cheap"]["calls"] == 2.5
    assert summary["student"]["tokens_to_score"] == 126 + 226
    assert any("adaptive" in note for note in summary["notes"]) == adaptive


def test_whom_a_design_asks_is_known_before_the_first_call() -> None:
    design = {"design": {"teachers_per_prompt": 2}, "normalise": "pool_z"}
    assert prompts().asked == {} and not prompts(**design).adaptive
    assert {t: len(own) for t, own in prompts(**design).asked.items()} == {"cheap": 2, "dear": 2}


def test_what_the_store_holds_costs_nothing_and_tells_how_long_answers_are(tmp_path: Path) -> None:
    store, asked = ResponseStore(tmp_path), prompts()
    store_answers(store, work(), "dear", [IDS[0], IDS[2], text_id("of another run")])
    rows = by_place(make_plan(asked, None, work(), store)[0])
    assert rows["label", "dear"]["calls"] == 1 and rows["label", "cheap"]["calls"] == 2
    assert rows["label", "dear"]["completion_tokens"] == 20
    assert rows["label", "dear"]["prompt_tokens"] == 30
    assert rows["label", "dear"]["most_completion_tokens"] == 200
    assert rows["label", "dear"]["basis"] == "the mean of 3 answers in the store"
    assert rows["generate", "dear"]["calls"] == 1.5  # of 3 lacking, half
    assert rows["generate", "cheap"]["calls"] == 2


def test_prompts_are_expected_to_be_cached_as_those_in_the_store_were(tmp_path: Path) -> None:
    store, asked, given = ResponseStore(tmp_path), prompts(), work()
    store_answers(store, given, "dear", [IDS[0]], cached=24)
    store_answers(store, given, "dear", [IDS[2]])  # says nothing: none
    dear = given.teachers.root["dear"].model_copy(update={"cached_prompt_price": 0.5})
    pool = Teachers(root={**given.teachers.root, "dear": dear})
    priced = Work(**{**vars(given), "teachers": pool})
    row = by_place(make_plan(asked, None, priced, store)[0])["label", "dear"]
    assert row["cost"] == pytest.approx((18 * 2 + 12 * 0.5 + 20 * 10) / 1e6)
    assert row["most_cost"] == pytest.approx((30 * 2 + 200 * 10) / 1e6)
    row = by_place(make_plan(asked, None, given, store)[0])["label", "dear"]
    assert row["cost"] == pytest.approx((30 * 2 + 20 * 10) / 1e6)


@pytest.mark.usefixtures("only_tokenizers")
def test_the_estimate_depends_on_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked, store, given = prompts(), ResponseStore(tmp_path / "s"), work()
    pool = {name: t.model_copy(update={"model": "tiny"}) for name, t in given.teachers.root.items()}
    given = Work(**{**vars(given), "teachers": Teachers(root=pool)})

    def estimate(cache: str) -> Any:
        monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / cache))
        return by_place(
            estimate_table(asked, given.models, given.teachers, given.engine, given.generate, store)
        )

    empty = estimate("one")
    assert empty == estimate("one")  # the model and its tokenizer, of a token a byte, are there now
    assert (empty["label", "dear"]["prompt_tokens"], empty["label", "dear"]["calls"]) == (52, 2)
    assert empty["label", "dear"]["basis"].startswith("4 bytes per token, and max_new_tokens: ")
    store_answers(store, given, "dear", [IDS[0], IDS[1]], model="tiny")
    known = estimate("two")
    assert known == estimate("two")
    assert (known["label", "dear"]["calls"], known["label", "cheap"]["calls"]) == (0, 2)


def test_imported_answers_need_no_call_and_tell_no_length(tmp_path: Path) -> None:
    store, asked = ResponseStore(tmp_path), prompts()
    store_answers(store, work(), "dear", [IDS[0]], "import")
    row = by_place(make_plan(asked, None, work(), store)[0])["label", "dear"]
    assert (row["calls"], row["prompt_tokens"], row["completion_tokens"]) == (1, 26, 200)


def test_at_most_holds_whatever_the_router_chooses(tmp_path: Path) -> None:
    asked = prompts()
    plan, summary = make_plan(asked, None, work(), ResponseStore(tmp_path))
    label = sum(r["most_cost"] for r in plan.to_pylist() if r["step"] == "label")
    all_to_dear = 4 * (26 * 2 + 200 * 10) / 1e6
    assert summary["now"]["most_cost"] == pytest.approx(label + all_to_dear)
    assert not any("No price" in note for note in summary["notes"])


def test_where_a_router_has_chosen_its_choice_counts(tmp_path: Path) -> None:
    store, asked = ResponseStore(tmp_path), prompts()
    store_answers(store, work(), "dear", [IDS[2]])
    chosen = ["dear", "dear", "dear", "dear", "dear", "cheap", "cheap", "cheap", "cheap"]
    rows = [{"prompt_id": i, "teacher": t} for i, t in zip(IDS, chosen, strict=True)]
    recipes = make_recipes(work().teachers, resolve_models(work().models, ["far"]))
    assignments = dataset(rows, with_pool(pool_identity(recipes)))
    plan, summary = make_plan(asked, assignments, work(), store)
    rows = by_place(plan)
    assert (rows["generate", "dear"]["responses"], rows["generate", "dear"]["calls"]) == (3, 2)
    assert (rows["generate", "cheap"]["responses"], rows["generate", "cheap"]["calls"]) == (1, 1)
    assert summary["routed"] and summary["routed_cost_range"] is None
    assert any("newest router's choices" in note for note in summary["notes"])


def test_another_pools_choices_do_not_count(tmp_path: Path) -> None:
    """Also where the teachers are called the same: here one has another system prompt now."""
    asked, now = prompts(), work()
    recipes = make_recipes(now.teachers, resolve_models(now.models, ["far"]))
    rows = [{"prompt_id": i, "teacher": "dear"} for i in IDS]
    assignments = dataset(rows, with_pool(pool_identity(recipes)))
    assert make_plan(asked, assignments, now, ResponseStore(tmp_path))[1]["routed"]
    changed = now.teachers.root["dear"].model_copy(update={"system": "Be brief."})
    pool = Teachers(root={**now.teachers.root, "dear": changed})
    other = Work(**{**vars(now), "teachers": pool})
    summary = make_plan(asked, assignments, other, ResponseStore(tmp_path))[1]
    assert not summary["routed"] and summary["now"]["calls"] == 2 * 2 + 4
    few = dataset(rows[:3], with_pool(pool_identity(recipes)))  # of other splits
    assert not make_plan(asked, few, now, ResponseStore(tmp_path))[1]["routed"]


def test_two_teachers_of_one_recipe_are_asked_once(tmp_path: Path) -> None:
    twice = work()
    teachers = twice.teachers.root
    both = Teachers(root={"one": teachers["cheap"], "two": teachers["cheap"]})
    twice = Work(**{**vars(twice), "teachers": both})
    rows = by_place(make_plan(prompts(), None, twice, ResponseStore(tmp_path))[0])
    assert rows["label", "one"]["calls"] == 2 and rows["label", "two"]["calls"] == 0


def test_no_model_is_fetched_and_what_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    absent = work(verification="next_choice", max_calls=3)
    models = Models.model_validate({"tiny": {"zoo": "smollm2"}, "far": absent.models.root["far"]})
    absent = Work(**{**vars(absent), "models": models})
    summary = make_plan(prompts(), None, absent, ResponseStore(tmp_path / "s"))[1]
    assert not (tmp_path / "cache" / "zoo").exists()
    assert summary["disk"]["models to fetch"] == 4 * 93e6 and summary["disk"]["student"] is None
    assert any(note.startswith("Not fetched yet: tiny.") for note in summary["notes"])
    assert any("up to 3 routed calls" in note for note in summary["notes"])


def test_estimate_stands_beside_what_was_done(tmp_path: Path) -> None:
    asked = prompts()
    estimate = make_plan(asked, None, work(), ResponseStore(tmp_path))[0]
    call = dict.fromkeys((f.name for f in schemas.CALLS), 0)
    made = pa.Table.from_pylist(
        [{**call, "teacher": "cheap", "calls": 2, "completion_tokens": 7, "cost": 0.5}],
        schemas.CALLS,
    )
    rows = against_actual(estimate, {"label": made})
    assert [(r["step"], r["teacher"]) for r in rows] == [("label", "cheap")]
    assert (rows[0]["calls"], rows[0]["actual_calls"]) == (2, 2)
    assert (rows[0]["completion_tokens"], rows[0]["actual_completion_tokens"]) == (200, 7)
    assert rows[0]["actual_cost"] == 0.5
