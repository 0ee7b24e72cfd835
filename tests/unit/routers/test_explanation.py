"""One prompt explained: nearest prompts, true rewards and words, on tables worked out by hand."""

import numpy as np
import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.prompts.find import find_prompt, row_of_prompt
from persyn_kedro.domain.reporting.terminal_explanation import explanation_text
from persyn_kedro.domain.routers.assignment import assignments
from persyn_kedro.domain.routers.explained import Explanation
from persyn_kedro.domain.routers.explanation import (
    RouterTables,
    explain,
    neighbours,
    scored_teachers,
)
from persyn_kedro.domain.routers.nearest import nearest
from persyn_kedro.domain.routers.saving import write_description
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import settings_id, text_id
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.references import stored
from tests.support.tables import dataset

POOL = [{"teacher": t, "weights_id": f"w{t}", "recipe_id": f"r{t}"} for t in "abc"]
# The coordinates' standard deviations are 1 and 10: standardised, the points are (±1, ±1).
SQUARE = np.array([[0, 0], [0, 20], [2, 0], [2, 20]], dtype=np.float32)
TEXTS = {text_id(text): text for text in ("1 + 1?", "2 + 2?", "3 + 3?", "a new one", "held out")}
FIT = list(TEXTS)[:3]
TRUE = {  # of the calibration prompts; None is invalid
    FIT[0]: {"a": 1.0, "b": 0.2, "c": None},
    FIT[1]: {"a": 0.5, "b": 0.5, "c": 0.1},
    FIT[2]: {"a": 0.7, "b": None, "c": None},  # one valid teacher: no comparison
    list(TEXTS)[4]: {"a": 0.0, "b": 0.9, "c": 0.3},
}


@pytest.fixture
def tables(tmp_path) -> RouterTables:
    places = [*(("calibration", "fit"),) * 3, ("test", None), ("calibration", "holdout")]
    rewards = [
        {"prompt_id": p, "teacher": t, "reward": r, "valid": r is not None, "quality": 1.0}
        for p, row in TRUE.items()
        for t, r in row.items()
    ]
    scores = np.array([[0.5, 0.25, 0.75]] * 5, dtype=np.float32)
    store = ResponseStore(tmp_path / "store")
    answer = {"response_key": "k", "prompt_id": FIT[0], "sample_index": 0, "response": "It is 2."}
    shelf = settings_id({"weights_id": "wb", "recipe_id": "rb"})
    store.append(shelf, [{**answer, "finish_reason": "length"}])
    router = tmp_path / "router"
    router.mkdir()
    write_description(
        router,
        {
            "kind": "knn",
            "settings": {"invalid": "leave_out", "neighbours": 8},
            "backbone": {"name": "tiny"},
            "n_fit": 2,
            "teachers": POOL,
        },
    )
    return RouterTables(
        router,
        dataset(
            [
                {"prompt_id": p, "prompt": t, "split": s, "part": q}
                for (p, t), (s, q) in zip(TEXTS.items(), places, strict=True)
            ],
            schemas.PROMPTS,
        ),
        dataset(rewards, schemas.REWARDS),
        pads.dataset(list(assignments(list(TEXTS), [scores], "abc"))),
        store,
    )


def test_nearest_are_those_of_the_standardised_points() -> None:
    """From (-1, 0.9): to (-1, 1) it is 0.1, to (-1, -1) 1.9, to (1, 1) root of 4.01."""
    found = nearest(np.array([0, 19], dtype=np.float32), SQUARE, 3)
    assert found.places.tolist() == [1, 0, 3]
    np.testing.assert_allclose(found.distances, [0.1, 1.9, np.sqrt(4.01)], atol=1e-6)
    length = np.sqrt(2) * np.sqrt(1 + 0.81)
    np.testing.assert_allclose(found.similarities, [1.9 / length, 0.1 / length, -0.1 / length])


def test_a_prompt_is_at_no_distance_from_itself_and_count_may_pass_all() -> None:
    found = nearest(SQUARE[2], SQUARE, 10)
    assert len(found.places) == 4 and found.places[0] == 2
    assert (found.distances[0], found.similarities[0]) == (0, pytest.approx(1))


def test_neighbours_carry_true_rewards_and_every_tied_best_teacher() -> None:
    rows = [{"prompt_id": p, "prompt": TEXTS[p]} for p in FIT]
    matrix = np.array([[1.0, 0.2, np.nan], [0.5, 0.5, 0.1], [0.0, 0.0, 0.3]])
    found = neighbours(nearest(SQUARE[1], SQUARE[:3], 2), rows, matrix, "abc")
    assert [n.prompt_id for n in found] == [FIT[1], FIT[0]]
    assert found[0].best == ["a", "b"] and found[1].best == ["a"]
    assert found[1].rewards == {"a": 1.0, "b": 0.2, "c": None}


def test_teachers_come_by_score_with_what_is_known_of_each(tables: RouterTables) -> None:
    scores, errors = np.array([[[0.25, 0.5, 0.25]], [[0.5, 0.125, 0.0]]], dtype=np.float32)
    found = scored_teachers(FIT[0], Scored(scores, errors), POOL, tables)
    assert [(t.teacher, t.score, t.standard_error, t.reward) for t in found] == [
        ("b", 0.5, 0.125, 0.2),
        ("a", 0.25, 0.5, 1.0),  # ties in the pool's order
        ("c", 0.25, 0.0, None),
    ]
    assert [(t.response, t.finish_reason) for t in found] == [
        ("It is 2.", "length"),
        *[(None,) * 2] * 2,
    ]


def test_a_routed_prompt_without_neighbours_is_explained_from_its_tables(
    tables: RouterTables,
) -> None:
    """No model is there: the router's directory holds its description alone."""
    found = explain(find_prompt(tables.prompts, FIT[0][:8]), tables, 0)
    assert (found.choice, found.margin, found.routed) == ("c", 0.25, True)
    assert (found.split, found.part, found.neighbours) == ("calibration", "fit", [])
    text = " ".join(explanation_text(found, ["look"], 4).split())
    assert "Choice: c, by a margin of 0.250 over a." in text
    assert "a had the highest reward, 1.000 more than the choice" in text  # c's is invalid: 0
    assert "b (cut off): It i … (4 more characters)" in text
    assert text.endswith("Note: look")


def test_all_alternatives_of_a_reference_are_shown(tables: RouterTables) -> None:
    rows = [{"prompt_id": p, "prompt": t, **stored(["2", "two"])} for p, t in TEXTS.items()]
    prompt = find_prompt(dataset(rows, schemas.PROMPTS), FIT[0])
    found = explain(prompt, tables, 0)
    assert found.as_dict()["reference"] == "2 or two"
    assert "[reference] 2 or two" in explanation_text(found)


def test_tables_of_another_fit_are_refused(tables: RouterTables) -> None:
    fewer = tables.rewards.to_table().slice(3)
    other = RouterTables(**{**vars(tables), "rewards": pads.dataset(fewer)})
    with pytest.raises(PersynError, match="fitted on 2 prompts, but these tables have 1"):
        explain(find_prompt(tables.prompts, FIT[0]), other, 0)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("knn", "how much more reward the choice had there"),
        ("linear", "a difference of predicted rewards"),
        # 1 / (1 + e^-0.25)
        ("language_model", "probability of 56.2 % that the choice's response has more reward"),
    ],
)
def test_a_margin_is_put_into_the_words_of_its_router(
    tables: RouterTables, kind: str, words: str
) -> None:
    found = explain(find_prompt(tables.prompts, FIT[0]), tables, 0)
    other = Explanation(**{**vars(found), "router": {**found.router, "kind": kind}})
    assert words in " ".join(explanation_text(other).split())


def test_a_prompt_is_found_by_its_text_or_made_new(tables: RouterTables) -> None:
    assert row_of_prompt(tables.prompts, "1 + 1?")["prompt_id"] == FIT[0]
    assert row_of_prompt(tables.prompts, "5 + 5?")["prompt_id"] == text_id("5 + 5?")
    for bad in (" ", "\ud800"):
        with pytest.raises(PersynError, match="empty or contains invalid Unicode"):
            row_of_prompt(tables.prompts, bad)


def test_ids_that_are_none_or_several_are_told_with_the_nearest() -> None:
    rows = [{"prompt_id": p, "prompt": p} for p in ("abc1", "abd2", "b3", "b4", "b5", "b6")]
    prompts = dataset(rows, schemas.PROMPTS)
    assert find_prompt(prompts, "abc")["prompt_id"] == "abc1"
    for asked, sentence in (
        ("abx", "begins with 'abx'; nearest: abc1, abd2."),
        ("zz", "begins with 'zz'; available: abc1, abd2, b3 and 3 more."),
        ("b", "4 prompt ids begin with 'b'; give more characters of b3, b4, b5 and 1 more."),
    ):
        with pytest.raises(PersynError) as told:
            find_prompt(prompts, asked)
        assert str(told.value).endswith(sentence)
