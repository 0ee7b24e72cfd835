"""Several answers to a routed prompt: in which order they are asked for, and which are kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.training_set.routed import routed_rounds
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import prompts_of, sft_rows

TEACHERS = ["a", "b", "c"]
Outcome = Callable[[str, str, int], dict[str, Any]]


def rounds_of(
    prompts: list[str],
    choices: list[list[str]],
    setting: GenerateSettings,
    outcome: Outcome,
    best: np.ndarray | None = None,
    allow: bool = False,
) -> tuple[list[dict[str, Any]], list[list[tuple[str, str, int]]]]:
    """Return the kept rows, and (teacher, prompt, sample) of what each round asked for."""
    places = np.array([[TEACHERS.index(t) for t in line] for line in choices])
    asked = prompts_of({p: f"text {p}" for p in prompts})
    rounds = routed_rounds(asked, places.reshape(len(prompts), -1), TEACHERS, setting, allow, best)
    answered: Any = None
    log = []
    while True:
        try:
            wanted = rounds.send(answered)
        except StopIteration as end:
            return end.value.to_pylist(), log
        log.append(
            [
                (t, p, s)
                for t, own in wanted.items()
                for (p, _), s in zip(own, own.samples.tolist(), strict=True)
            ]
        )
        rows = [outcome(*each) for each in log[-1]]
        judged = [{**row, "quality": row["judged"]} for row in rows]
        answered = tuple(
            pa.Table.from_pylist(own, schema)
            for own, schema in (
                (rows, schemas.OUTCOMES), (rows, schemas.QUALITY), (judged, schemas.QUALITY),
            )
        )  # fmt: skip


def row_of(
    teacher: str, prompt: str, sample: int, quality: float | None = None, **more: Any
) -> Any:
    row = dict.fromkeys(schemas.OUTCOMES.names)
    row |= {"teacher": teacher, "prompt_id": prompt, "sample_index": sample}
    row |= {"response_key": f"{teacher}{prompt}{sample}", "finish_reason": "stop"}
    return {**row, "quality": quality, "judged": quality, **more}


def right(*answers: str) -> Outcome:
    """Return an outcome that is right for these response keys, and wrong for others."""
    return lambda t, p, s: row_of(t, p, s, float(f"{t}{p}{s}" in answers))


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [row["response_key"] for row in rows]


def test_the_first_accepted_is_asked_for_one_by_one_then_the_next_choice() -> None:
    setting = GenerateSettings(verification="next_choice", samples=2)
    rows, log = rounds_of(["p", "q"], [["a", "b"], ["a", "b"]], setting, right("ap1", "bq0"))
    assert log == [
        [("a", "p", 0), ("a", "q", 0)],
        [("a", "p", 1), ("a", "q", 1)],
        [("b", "q", 0)],
    ]
    assert [(r["response_key"], r["rank"]) for r in rows] == [("ap1", 0), ("bq0", 1)]


def test_resample_asks_the_same_teacher_again_before_the_next_choice() -> None:
    for most, calls in ((2, "ap0 ap1"), (3, "ap0 ap1 bp0"), (5, "ap0 ap1 bp0 bp1 cp0")):
        setting = GenerateSettings(verification="resample", max_calls=most)
        rows, log = rounds_of(["p"], [["a", "b", "c"]], setting, right())
        assert ["".join(map(str, each)) for (each,) in log] == calls.split() and not rows
        assert (setting.draws, setting.most_calls) == (2, most)
    rows, log = rounds_of(["p", "q"], [["a", "b"]] * 2, setting, right("ap1", "aq0"))
    assert keys(rows) == ["aq0", "ap1"] and log[1:] == [[("a", "p", 1)]]
    thrice = GenerateSettings(verification="resample", samples=3, max_calls=4)
    _, log = rounds_of(["p"], [["a", "b"]], thrice, right())
    assert ["".join(map(str, each)) for (each,) in log] == "ap0 ap1 ap2 bp0".split()


def test_resample_needs_keep_first() -> None:
    with pytest.raises(ValueError, match="resample asks one by one: set keep to first"):
        GenerateSettings(verification="resample", keep="all", samples=2)


def test_with_drop_other_samples_are_tried_but_no_other_teacher() -> None:
    setting = GenerateSettings(verification="drop", samples=3)
    rows, log = rounds_of(["p", "q"], [["a", "b"], ["a", "b"]], setting, right("ap1", "bq0"))
    assert keys(rows) == ["ap1"]
    assert log[-1] == [("a", "q", 2)] and len(log) == 3


def test_the_best_is_the_judges_among_those_that_are_not_rejected() -> None:
    judged = {"ap0": 0.5, "ap1": 0.9, "ap2": 0.7, "aq0": None, "aq1": -3.0, "aq2": -3.0}

    def outcome(t: str, p: str, s: int) -> dict[str, Any]:
        wrong = (p, s) == ("p", 1)
        return row_of(t, p, s, 0.0 if wrong else None, judged=judged[f"{t}{p}{s}"])

    choices = [["a", "b"], ["a", "b"]]
    kept, log = rounds_of(["p", "q"], choices, GenerateSettings(samples=3, keep="best"), outcome)
    assert keys(kept) == ["ap1", "aq1"]  # the reference says nothing here: verification is keep
    assert log == [[("a", p, s) for p in "pq" for s in range(3)]]
    dropped = GenerateSettings(samples=3, keep="best", verification="drop")
    assert keys(rounds_of(["p", "q"], choices, dropped, outcome)[0]) == ["ap2", "aq1"]


def test_an_answer_that_may_not_be_trained_on_is_never_the_best_while_another_is() -> None:
    def outcome(t: str, p: str, s: int) -> dict[str, Any]:
        return row_of(t, p, s, 1.0 - s, finish_reason=["length", "stop"][s])

    setting = GenerateSettings(samples=2, keep="best")
    assert keys(rounds_of(["p"], [["a"]], setting, outcome)[0]) == ["ap1"]
    assert keys(rounds_of(["p"], [["a"]], setting, outcome, allow=True)[0]) == ["ap0"]


def test_all_that_are_right_are_kept_and_the_next_choice_is_for_prompts_without_any() -> None:
    setting = GenerateSettings(verification="next_choice", samples=2, keep="all")
    outcome = right("ap0", "ap1", "aq1", "br0")
    rows, log = rounds_of(["p", "q", "r"], [["a", "b"]] * 3, setting, outcome)
    assert keys(rows) == ["ap0", "ap1", "aq1", "br0"]
    assert log[1:] == [[("b", "r", 0), ("b", "r", 1)]]
    assert keys(rounds_of(["r"], [["a"]], GenerateSettings(samples=2, keep="all"), outcome)[0]) == [
        "ar0", "ar1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "keep", "expected"),
    [
        (1, "first", [2]),
        (2, "all", [2, 0]),
        (4, "all", [2, 0, 1, 3]),
    ],
)
def test_the_best_from_labelling_comes_first_then_the_others(
    samples: int, keep: Any, expected: list[int]
) -> None:
    best = np.array([[2, 0, 0], [0, 0, 0]], np.int16)
    setting = GenerateSettings(samples=samples, keep=keep)
    rows, log = rounds_of(["p", "q"], [["a"], ["a"]], setting, right(), best)
    assert [s for _, p, s in log[0] if p == "p"] == expected
    assert [s for _, p, s in log[0] if p == "q"] == list(range(samples))
    assert [row["sample_index"] for row in rows if row["prompt_id"] == "p"] == expected


def plain_rounds(
    prompts: list[str],
    choices: list[list[str]],
    setting: GenerateSettings,
    allow: bool,
    outcome: Outcome,
) -> list[str]:
    """The rule by plain Python, prompt by prompt."""
    fine = ["stop", "length"] if allow else ["stop"]

    def rejected(row: dict[str, Any]) -> bool:
        failed = row["finish_reason"] == "error" and setting.on_failure == "next_choice"
        if setting.verification == "keep":
            return failed
        strict = setting.verification == "next_choice" or setting.samples > 1
        unusable = strict and row["finish_reason"] not in fine
        return failed or unusable or row["quality"] == 0.0

    def worth(row: dict[str, Any]) -> tuple[bool, float, int]:
        judged = -np.inf if row["judged"] is None else row["judged"]
        return row["finish_reason"] in fine, judged, -row["sample_index"]

    several = "next_choice" in (setting.verification, setting.on_failure)
    kept = []
    for prompt, order in zip(prompts, choices, strict=True):
        for teacher in order[: setting.max_calls if several else 1]:
            own = [outcome(teacher, prompt, s) for s in range(setting.samples)]
            accepted = [row for row in own if not rejected(row)]
            if accepted:
                best = max(accepted, key=worth)
                kept += {"first": accepted[:1], "best": [best], "all": accepted}[setting.keep]
                break
    return keys(kept)


@given(
    st.lists(st.permutations(TEACHERS), min_size=1, max_size=6),
    st.sampled_from(["keep", "drop", "next_choice"]),
    st.sampled_from(["leave_out", "next_choice"]),
    st.integers(1, 3),
    st.sampled_from(["first", "best", "all"]),
    st.booleans(),
    st.integers(0, 1000),
)
@settings(max_examples=150)
def test_rounds_keep_what_the_plain_rule_keeps(
    orders: list[list[str]],
    verification: Any,
    on_failure: Any,
    samples: int,
    keep: Any,
    allow: bool,
    seed: int,
) -> None:
    if samples > 1 and keep == "first" and (verification, on_failure) == ("keep", "leave_out"):
        keep = "all"  # the settings refuse it
    setting = GenerateSettings(
        verification=verification, on_failure=on_failure, samples=samples, keep=keep
    )
    prompts = [f"p{i}" for i in range(len(orders))]

    def outcome(teacher: str, prompt: str, sample: int) -> dict[str, Any]:
        draw = np.random.default_rng([seed, ord(teacher), int(prompt[1:]), sample])
        reason = str(draw.choice(["stop", "length", "error"]))
        quality, judged = draw.choice([None, 0.0, 1.0], 2)
        return row_of(teacher, prompt, sample, quality, judged=judged, finish_reason=reason)

    found, _ = rounds_of(prompts, orders, setting, outcome, allow=allow)
    assert sorted(keys(found)) == sorted(plain_rounds(prompts, orders, setting, allow, outcome))


def routed_row(prompt: str, teacher: str, sample: int, text: str) -> dict[str, Any]:
    return {
        "prompt_id": prompt, "teacher": teacher, "sample_index": sample, "response": text,
        "response_key": f"{prompt}{sample}", "finish_reason": "stop",
    }  # fmt: skip


def test_each_answer_of_a_prompt_is_an_example_with_the_prompts_reward() -> None:
    routed = [
        routed_row("q", "a", 0, "of q"),
        routed_row("p", "b", 2, "third"),
        routed_row("p", "b", 0, "first"),
        routed_row("p", "b", 1, ""),
    ]
    prompts = {p: {"prompt": f"{p}?", "part": "fit"} for p in "pqr"}
    scores = {p: [0.5, 1.0] for p in "pqr"}
    rewards = {("p", "a"): 0.1, ("p", "b"): 0.7}
    rows = sft_rows(
        pa.Table.from_pylist(routed, schemas.ROUTED_RESPONSES), prompts, scores, rewards,
        {"a": "keep", "b": "keep"},
    )  # fmt: skip
    assert [(r["response_key"], r["completion"][0]["content"], r["reward"]) for r in rows] == [
        ("p2", "third", 0.7), ("p0", "first", 0.7), ("q0", "of q", None),
    ]  # fmt: skip
