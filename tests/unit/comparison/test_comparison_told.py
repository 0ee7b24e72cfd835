"""What is said of compared students: plain verdicts, what was equal, allocation and notes."""

from typing import Any

import pyarrow as pa

from persyn_kedro.domain.comparison.report import TrainingSets, build_comparison
from persyn_kedro.domain.comparison.strategies.examples import LATER
from persyn_kedro.domain.comparison.students import compare_students, verdicts
from persyn_kedro.foundations.settings.compare import CompareSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas
from tests.unit.comparison.test_comparison import SETTINGS, trials


def told(
    same: dict[str, str] | None = None, seeds: int = 3, **differences: tuple[float, float, float]
) -> str:
    figures = {
        name: {
            "reference": "persyn",
            "difference": {
                "value": v,
                "interval": [low, high],
                "with_seeds": [low, high] if seeds > 1 else None,
                "detectable": 0.05,
            },
        }
        for name, (v, low, high) in differences.items()
    }
    return " ".join(verdicts({"strategies": figures, "seeds": list(range(seeds))}, same or {}))


def test_verdicts_say_plainly_who_wins() -> None:
    assert told(strong=(-0.1, -0.2, -0.05)) == (
        "PerSyn's student is better than that of strong (PerSyn +10.0 points)."
    )
    assert told(strong=(0.1, 0.05, 0.2)) == (
        "PerSyn does not win: its student is worse than that of strong (PerSyn -10.0 points)."
    )
    open_ = told(car=(-0.01, -0.06, 0.04))
    assert "not shown to be better than that of car (PerSyn +1.0 points)" in open_
    assert "below 5.0 points would have been missed more than one time in five" in open_
    # Equal scores of other students are no win; equal students are told in a note.
    assert "not shown to be better than that of strong" in told(strong=(0.0, 0.0, 0.0))
    assert told(same={"strong": "persyn"}, strong=(0.0, 0.0, 0.0)) == ""
    assert told(persyn_alpha_0=(0.1, 0.05, 0.2)) == ""  # an ablation is no rival
    assert "only one seed" in told(seeds=1, strong=(-0.1, -0.2, -0.05))


def test_nothing_is_said_of_students_that_could_not_be_judged() -> None:
    found = compare_students(
        trials({"persyn": [[None, 1.0]], "strong": [[1.0, None]]}), SETTINGS, seed=1
    )
    assert (found["n"], found["unknown"], found["strategies"]["strong"]["difference"]) == (
        0,
        2,
        None,
    )
    assert verdicts(found, {}) == [
        "Nothing can be said about PerSyn: too few test answers could be judged."
    ]


def comparison(**changes: Any) -> dict[str, Any]:
    scores = {"persyn": [[1.0, 0.0]], "persyn_alpha_1": [[1.0, 0.0]], "strong": [[1.0, 1.0]]}
    spent = ("calls", "prompt_tokens", "completion_tokens", "cost")
    sets = {"persyn": ["a", "b"], "persyn_alpha_1": ["a", "b"], "strong": ["c", "d"]}
    examples = [
        {"strategy": n, "prompt_id": f"t{i}", "teacher": key, "response_key": key}
        for n, keys in sets.items()
        for i, key in enumerate(keys)
    ]
    arguments: dict[str, Any] = {
        "trials": trials(scores),
        "sets": TrainingSets(
            pa.Table.from_pylist(examples, schemas.STRATEGY_EXAMPLES),
            {n: {p + c: 1 for p in ("", "whole_") for c in spent} for n in scores},
            {
                "teachers": {"strong": "c"},
                "left_out": {"car": "it cannot be", "mix": LATER, "random": LATER},
                "prompts": dict.fromkeys(scores, 3),
                "usable": {"persyn": 3, "persyn_alpha_1": 3, "strong": 2},
                "taught": {"strong": {"sums": {"known": 2, "quality": 0.5}}},
                "constant_answers": ["Of 12 test prompts 9 have 'Yes'."],
            },
            {"tokens": None},
        ),
        "choices": {"t0": ["a", "b"], "t1": ["b", "a"], "t2": ["a", "c"]},
        "kinds": {**dict.fromkeys(("t0", "t1", "t2"), "sums"), "p0": "sums", "p1": "lists"},
        "teachers": ["a", "b", "c", "d"],
        "router_comparison": {"verdicts": ["The router says nothing."]},
        "label": LabelSettings(alpha=0.4),
        "settings": SETTINGS,
        "seed": 1,
    }
    return build_comparison(**{**arguments, **changes})


def test_the_summary_has_alphas_allocation_and_notes() -> None:
    found = comparison()
    assert [(a["alpha"], a["strategy"]) for a in found["alphas"]] == [
        (0.4, "persyn"),
        (1.0, "persyn_alpha_1"),
    ]
    assert [(row["kind"], row["n"]) for row in found["kinds"]] == [("lists", 1), ("sums", 1)]
    assert found["kinds"][0]["scores"] == {"persyn": 0.0, "persyn_alpha_1": 0.0, "strong": 1.0}
    assert found["taught"] == {"strong": {"sums": {"known": 2, "quality": 0.5}}}
    assert found["allocation"] == [{"kind": "sums", "a": 2, "b": 1, "c": 0, "d": 0}]
    assert found["strategies"]["strong"]["teacher"] == "c"
    assert found["measure"] == "exact"
    notes = " ".join(found["notes"])
    assert "car is left out: it cannot be." in notes
    assert "mix, random are left out: no student is trained (compare.students)." in notes
    assert "2 of 3 prompts are used for training" in notes
    assert (
        "strong has the fewest usable answers, 2, persyn has 3. An answer that fails costs" in notes
    )
    assert "persyn_alpha_1 has the same training set as persyn" in notes
    assert found["notes"][0] == "Of 12 test prompts 9 have 'Yes'."
    assert found["verdicts"][-1] == "The router says nothing."


def test_of_one_strategy_alone_nothing_is_equal() -> None:
    examples = [{"strategy": "persyn", "response_key": key} for key in "ab"]
    sets = TrainingSets(
        pa.Table.from_pylist(examples, schemas.STRATEGY_EXAMPLES),
        {"persyn": {}},
        {"teachers": {}, "left_out": {}, "prompts": {"persyn": 2}, "usable": {"persyn": 2}},
        {"tokens": None},
    )
    found = comparison(trials=trials({"persyn": [[1.0, 0.0]]}), sets=sets)
    assert found["equal"] == "Only persyn has a student, of 2 examples."


def test_what_is_equal_is_told() -> None:
    told = comparison()["equal"]
    assert told == "Each strategy has the same 2 examples; the teacher tokens differ."
    sets = TrainingSets(
        pa.Table.from_pylist(
            [{"strategy": n, "response_key": f"{n}{i}"} for n, many in
             {"persyn": 1, "strong": 3}.items() for i in range(many)],
            schemas.STRATEGY_EXAMPLES,
        ),
        {"persyn": {"whole_completion_tokens": 101}, "strong": {"whole_completion_tokens": 60}},
        {"teachers": {}, "left_out": {}, "prompts": {"persyn": 1}, "usable": {"persyn": 1}},
        {"tokens": 100, "ran_out": ["strong"]},
    )  # fmt: skip
    scores = {"persyn": [[1.0, 0.0]], "strong": [[1.0, 1.0]]}
    found = comparison(
        trials=trials(scores),
        sets=sets,
        settings=CompareSettings(resamples=200, examples="equal_tokens"),
    )
    assert found["equal"] == (
        "Each strategy has the same teacher tokens, 100 of completions, the calibration answers "
        "that it chooses by included; the examples differ. There were no more prompts for strong "
        "(60 %)."
    )


def test_scores_other_than_right_and_wrong_are_told_as_rewards() -> None:
    found = comparison(
        trials=trials(
            {"persyn": [[1.5, 0.0]], "persyn_alpha_1": [[1.5, 0.0]], "strong": [[3.5, 2.0]]}
        )
    )
    assert found["measure"] == "reward"
    assert "(PerSyn -2.0 reward)" in found["verdicts"][0]
