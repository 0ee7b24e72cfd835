"""Calls of several answers to a prompt, against METHOD's formulas worked out by hand."""

from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.planning.plan import make_plan
from persyn_kedro.domain.planning.work import Work
from persyn_kedro.domain.routers.assignment import with_pool
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.domain.teachers.recipe import make_recipes, pool_identity
from persyn_kedro.foundations.models.resolve import resolve_models
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from tests.support.tables import dataset
from tests.unit.planning.test_planning import IDS, by_place, prompts, store_answers, work

# n = 2 calibration prompts, N - n = 4 train prompts, K = 2.


def several(cheap: int, dear: int, **generate: Any) -> Work:
    """Return the work with these numbers of samples in labelling."""
    plain = work(**generate)
    pool = {
        name: plain.teachers.root[name].model_copy(
            update={"samples": n, "sampling": SamplingSettings(temperature=1.0, max_new_tokens=100)}
        )
        for name, n in (("cheap", cheap), ("dear", dear))
    }
    pool["dear"] = pool["dear"].model_copy(update={"system": "Be dear."})  # another recipe
    return Work(**{**vars(plain), "teachers": Teachers(root=pool)})


def calls_of(given: Work, store: ResponseStore, assignments: Any = None) -> dict[Any, float]:
    plan, _ = make_plan(prompts(), assignments, given, store)
    return {place: row["calls"] for place, row in by_place(plan).items() if place[0] != "evaluate"}


def test_every_teacher_gives_its_samples_in_labelling(tmp_path: Path) -> None:
    given = several(3, 1)
    _, summary = make_plan(prompts(), None, given, ResponseStore(tmp_path))
    calls = calls_of(given, ResponseStore(tmp_path))
    assert (calls["label", "cheap"], calls["label", "dear"]) == (3 * 2, 2)
    assert calls["generate", "cheap"] == calls["generate", "dear"] == 2  # half of 4
    assert summary["now"]["calls"] == (3 + 1) * 2 + 4  # sum_k S_k n + (N - n)
    assert summary["generate_then_select"]["calls"] == (3 + 1) * 6
    cheap, dear = (26 + 100, 26 + 2 + 4 - 4 + 100)
    assert summary["student"]["tokens_to_score"] == pytest.approx(2 * (3 * cheap + dear), rel=0.1)


@pytest.mark.parametrize(
    ("samples", "keep", "routed"),
    [
        (3, "best", 3 * 4 + 2 * (3 - 1) / 2),  # S (N - n), and what dear's half of n lacks of S
        (3, "all", 3 * 4 + 2 * (3 - 1) / 2),
        (2, "best", 2 * 4 + 2 * (2 - 1) / 2),
    ],
)
def test_routed_prompts_take_samples_that_labelling_did_not_ask_for(
    samples: int, keep: str, routed: float, tmp_path: Path
) -> None:
    calls = calls_of(several(3, 1, samples=samples, keep=keep), ResponseStore(tmp_path))
    assert calls["generate", "cheap"] + calls["generate", "dear"] == routed


def test_one_by_one_the_first_is_counted_and_the_most_is_said(tmp_path: Path) -> None:
    given = several(1, 1, samples=3, verification="next_choice", max_calls=2)
    calls = calls_of(given, ResponseStore(tmp_path))
    assert sum(calls.values()) == 2 * 2 + 4
    plan, summary = make_plan(prompts(), None, given, ResponseStore(tmp_path))
    assert any("up to 6 routed calls" in note for note in summary["notes"])
    once, _ = make_plan(prompts(), None, several(1, 1), ResponseStore(tmp_path))
    for name in ("cheap", "dear"):  # dear: half of 4 thrice, and two more of its calibration prompt
        row, before = by_place(plan)["generate", name], by_place(once)["generate", name]
        longest = before["most_completion_tokens"] / before["calls"]
        assert row["most_completion_tokens"] == longest * (3 * 2 + 2 * 1)
        assert row["most_cost"] == pytest.approx(before["most_cost"] * (3 * 2 + 2) / 2)
        assert row["cost"] == before["cost"]
    assert summary["now"]["most_cost"] > sum(row["most_cost"] for row in once.to_pylist())


def test_a_routers_choices_and_the_store_are_counted_by_sample(tmp_path: Path) -> None:
    given, store = several(2, 1, samples=3, keep="all"), ResponseStore(tmp_path)
    chosen = ["cheap", "dear", "cheap", "dear", "dear", "dear", "cheap", "cheap", "cheap"]
    recipes = make_recipes(given.teachers, resolve_models(given.models, ["far"]))
    rows = [{"prompt_id": i, "teacher": t} for i, t in zip(IDS, chosen, strict=True)]
    assignments = dataset(rows, with_pool(pool_identity(recipes)))
    calls = calls_of(given, store, assignments)
    assert (calls["label", "cheap"], calls["label", "dear"]) == (4, 2)
    # cheap: its one train prompt three times, its calibration prompt's third answer; dear: three
    # train prompts three times, its calibration prompt's second and third.
    assert (calls["generate", "cheap"], calls["generate", "dear"]) == (3 + 1, 9 + 2)
    store_answers(store, given, "dear", [IDS[1], IDS[3]])  # first answers
    calls = calls_of(given, store, assignments)
    assert (calls["label", "dear"], calls["generate", "dear"]) == (1, 8 + 2)
