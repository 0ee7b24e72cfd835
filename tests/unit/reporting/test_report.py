"""The report's figures, its terminal tables and its page, from small tables of a made-up run."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.reporting.choice_samples import compare_choices, with_answers
from persyn_kedro.domain.reporting.page import report_page
from persyn_kedro.domain.reporting.summary import build_summary
from persyn_kedro.domain.reporting.terminal_report import terminal_table
from persyn_kedro.domain.routers.metrics import router_metrics
from persyn_kedro.domain.student.evaluate import accuracy_summary, nll_summary
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.teachers import Teachers, TeacherSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset

POOL = ["qwen-1.5b-step-by-step", "qwen-0.5b-brief", "gemma-270m", "smollm2-itself"]
CALIBRATION, TRAIN, TEST = 40, 120, 30
OF_TEACHER = [70, 60, 25, 5]  # of the 160 prompts that are not test


def table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema)


def make_summary(
    teachers: list[str] = POOL,
    notes: tuple[str, ...] = (),
    holdout: int = 8,
    beats: bool = False,
    engines: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A run in which teacher k answers ``OF_TEACHER[k]`` prompts with 10 (k + 1) tokens each."""
    split = ["calibration"] * CALIBRATION + ["train"] * TRAIN + ["test"] * TEST
    prompts = [{"prompt_id": f"p{i}", "split": s} for i, s in enumerate(split)]
    chosen = [t for t, n in zip(teachers, OF_TEACHER, strict=False) for _ in range(n)]
    chosen += [teachers[0]] * (len(split) - len(chosen))  # the router ranks test prompts too
    assigned = [{"prompt_id": f"p{i}", "teacher": t} for i, t in enumerate(chosen)]
    answered = [
        {
            **row,
            "response_key": row["prompt_id"],
            "completion_tokens": 10 * (teachers.index(t) + 1),
            "engine": (engines or {}).get(t),
        }
        for row, t in zip(assigned[: CALIBRATION + TRAIN], chosen, strict=False)
    ]
    rewards = [
        {"teacher": t, "reward": r, "quality": 1.0, "learnability": -1.0, "valid": r is not None}
        for k, t in enumerate(teachers)
        for r in (0.8 - 0.1 * k, 0.6 - 0.1 * k, None)
    ]
    calls = [{"teacher": t, "responses": CALIBRATION, "calls": CALIBRATION} for t in teachers]
    routed = [{"teacher": t, "responses": 9, "calls": 3} for t in teachers]
    random = np.random.default_rng(3)
    reward = random.random((holdout, len(teachers)))
    scores = reward if beats else -reward
    return build_summary(
        table(assigned, schemas.ASSIGNMENTS),
        table(rewards, schemas.REWARDS),
        table(calls, schemas.CALLS),
        table(routed, schemas.CALLS),
        table(answered, schemas.ROUTED_RESPONSES),
        dataset(prompts, schemas.PROMPTS),
        table([{"prompt_id": "p0", "part": "sft"}], schemas.SFT_DATASET),
        router_metrics(scores, reward, random.random((20, len(teachers)))),
        {
            "accuracy": accuracy_summary([0.0] * 20 + [1.0] * 8 + [None], [1.0] * 29, 0.95),
            "nll": nll_summary(
                [{"response_key": str(i), "tokens": 2, "sum_logp": -3.0 - i} for i in range(9)],
                [{"response_key": str(i), "tokens": 2, "sum_logp": -2.0 - i} for i in range(9)],
                0.95,
            ),
        },
        Teachers.model_construct({name: TeacherSettings(model="m") for name in teachers}),
        GenerateSettings(),
        list(notes),
    )


def test_answers_by_batch_are_noted_with_their_number() -> None:
    engines = {POOL[0]: "openai batch: finish_reason odd", POOL[1]: "openai"}
    (note,) = [n for n in make_summary(engines=engines)["notes"] if "batch" in n]
    assert note == f"70 of {POOL[0]}'s answers came by a batch API."
    assert not any("batch" in n for n in make_summary()["notes"])


def answered(prompts: dict[str, dict[str, Any]], teachers: list[str] = POOL[:2]) -> dict[str, Any]:
    """The choices of a router, over prompts of ``{"part", "choice", "rewards", "response"}``.

    The first teacher has quality 1 throughout, the others 0: it is the strongest.
    """
    rewards = [
        {"prompt_id": p, "teacher": t, "reward": r, "valid": r is not None,
         "quality": float(t == teachers[0]), "learnability": -1.5}
        for p, row in prompts.items()
        for t, r in zip(teachers, row["rewards"], strict=True)
    ]  # fmt: skip
    assigned = [{"prompt_id": p, "teacher": row["choice"]} for p, row in prompts.items()]
    asked = [
        {"prompt_id": p, "prompt": f"What of {p}?", "source": "made up", "split": "calibration",
         "part": row["part"]}
        for p, row in prompts.items()
    ]  # fmt: skip
    said = [
        {**{k: r[k] for k in ("prompt_id", "teacher")}, "finish_reason": "stop",
         "response": prompts[r["prompt_id"]].get("response", f"{r['teacher']} on {r['prompt_id']}")}
        for r in rewards
    ]  # fmt: skip
    compared = compare_choices(
        table(assigned, schemas.ASSIGNMENTS),
        table(rewards, schemas.REWARDS),
        dataset(asked, schemas.PROMPTS),
        teachers,
    )
    return {"alpha": 0.4} | with_answers(
        compared,
        dataset(assigned, schemas.ASSIGNMENTS),
        dataset(rewards, schemas.REWARDS),
        dataset(asked, schemas.PROMPTS),
        dataset(said, schemas.RESPONSES),
    )


STRONG, WEAK = POOL[:2]
CHOICES = {
    "a": {"part": "fit", "choice": WEAK, "rewards": (0.25, 1.0)},
    "b": {"part": "holdout", "choice": WEAK, "rewards": (0.5, 0.75)},
    "c": {"part": "holdout", "choice": WEAK, "rewards": (0.75, None)},  # invalid: counts as 0
    "d": {"part": "holdout", "choice": STRONG, "rewards": (0.0, 1.0)},
    "e": {"part": "fit", "choice": WEAK, "rewards": (0.5, 0.5)},
}


def test_choices_are_counted_against_the_strongest_teacher() -> None:
    choices = answered(CHOICES)
    assert (choices["strongest"], choices["prompts"], choices["elsewhere"]) == (STRONG, 5, 4)
    holdout, fit = choices["parts"]
    assert holdout == {
        "part": "holdout", "n": 3, "same": 1, "better": 1, "worse": 1, "equal": 0,
        "gain": pytest.approx((0.25 - 0.75 + 0) / 3),
    }  # fmt: skip
    assert fit == {
        "part": "fit", "n": 2, "same": 0, "better": 1, "worse": 0, "equal": 1,
        "gain": pytest.approx(0.75 / 2),
    }  # fmt: skip


def test_samples_hold_both_answers_unseen_prompts_first() -> None:
    samples = answered(CHOICES)["samples"]
    assert [(s["prompt_id"], s["router_is"]) for s in samples] == [
        ("b", "better"), ("a", "better"), ("c", "worse"),
    ]  # fmt: skip
    assert samples[0]["router"]["response"] == f"{WEAK} on b"
    assert samples[0]["strongest"]["response"] == f"{STRONG} on b"
    assert (samples[0]["router"]["reward"], samples[0]["strongest"]["reward"]) == (0.75, 0.5)
    many = {f"p{i}": CHOICES["b"] for i in range(9)}
    drawn = [sample["prompt_id"] for sample in answered(many)["samples"]]
    assert drawn == ["p0", "p1", "p2", "p3"]


def test_a_router_that_always_asks_the_strongest_is_said_to() -> None:
    same = {name: {**row, "choice": STRONG} for name, row in CHOICES.items()}
    page = report_page(make_summary(), answered(same))
    assert "the router chose the strongest teacher for all 5" in page
    assert 'class="sample"' not in page
    assert 'class="sample"' in report_page(make_summary(), answered(CHOICES))


def test_the_summary_survives_json() -> None:
    summary, choices = make_summary(), answered(CHOICES)
    back, chosen = json.loads(json.dumps([summary, choices], allow_nan=False))
    assert (terminal_table(back), report_page(back, chosen)) == (
        terminal_table(summary),
        report_page(summary, choices),
    )


def test_each_teacher_has_its_prompts_responses_tokens_and_calls() -> None:
    for k, row in enumerate(make_summary()["teachers"]):
        assert row["teacher"] == POOL[k]
        assert row["prompts"] == OF_TEACHER[k]  # test prompts are not counted
        assert row["calibration_responses"] == CALIBRATION
        assert row["routed_responses"] == OF_TEACHER[k]
        assert row["tokens"] == OF_TEACHER[k] * 10 * (k + 1)
        assert row["calls"] == CALIBRATION + 3
        assert row["mean_reward"] == pytest.approx(0.7 - 0.1 * k)  # the invalid one is left out


def test_calls_are_set_against_generate_then_select() -> None:
    calls = make_summary()["calls"]
    assert calls["made"] == 4 * (CALIBRATION + 3)
    assert calls["on_an_empty_store"] == 4 * CALIBRATION + TRAIN
    assert calls["generate_then_select"] == 4 * (CALIBRATION + TRAIN)


def test_a_useless_router_is_called_one() -> None:
    said = "does not beat always choosing the best teacher"
    assert said in " ".join(make_summary(beats=False)["notes"])
    assert said not in " ".join(make_summary(beats=True)["notes"])
    assert "was not measured" in " ".join(make_summary(holdout=0)["notes"])


def test_a_teacher_with_many_invalid_responses_is_named() -> None:
    notes = [note for note in make_summary()["notes"] if "invalid" in note]
    assert len(notes) == len(POOL)  # one of three of each
    assert f"33 % of {POOL[0]}'s calibration responses are invalid" in notes[0]


@pytest.mark.parametrize("holdout", [0, 8])
@pytest.mark.parametrize("pool", [POOL[:2], POOL[:3], POOL])
def test_every_figure_is_drawn_within_the_width(pool: list[str], holdout: int) -> None:
    summary = make_summary(pool, ("The pool contains the student's own model. " * 5,), holdout)
    text = terminal_table(summary)
    assert max(map(len, text.splitlines())) <= 100
    page = report_page(summary, answered(CHOICES)).replace("&#39;", "'")
    for words in [*pool, str(summary["calls"]["generate_then_select"]), "The pool contains"]:
        assert words in text and words in page


def test_the_student_after_preferences_stands_beside_the_others() -> None:
    summary = make_summary()
    preferred = {**summary["student"], "nll": {**summary["student"]["nll"], "after": 0.125}}
    summary["preferred_student"] = preferred
    text, page = terminal_table(summary), report_page(summary, answered(CHOICES))
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"sft +test accuracy", text)
    assert re.search(r"dpo +withheld NLL .*0\.125", text)
    of_all = page[page.index('id="student"') : page.index('id="glossary"')]
    assert of_all.count("<td>sft</td>") == of_all.count("<td>dpo</td>") == 2
    assert "0.125" in of_all and ">step</th>" in of_all


def test_a_pool_of_two_has_no_column_twice() -> None:
    assert terminal_table(make_summary(POOL[:2])).count("Hit@1") == 1


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>$\\frac{</div>"


def test_the_page_needs_nothing_else_and_escapes_text() -> None:
    page = report_page(
        make_summary([EVIL, *POOL[1:]], ("a <blink> note: `kedro <run>`",)),
        answered({"b": {**CHOICES["b"], "choice": EVIL, "response": EVIL}}, [STRONG, EVIL]),
    )
    tags = _Tags()
    tags.feed(page)
    names = [tag for tag, _ in tags.seen]
    assert names.count("script") == 1 and not {"iframe", "img", "blink"} & set(names)
    links = [a for _, attrs in tags.seen for a in (attrs.get("src"), attrs.get("href")) if a]
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\((?!#)|@import", page)
    assert "a &lt;blink&gt; note: <code>kedro &lt;run&gt;</code></p>" in page
    assert page.count("alert(1)") == page.count("alert(1)&lt;/script&gt;") * 2 > 4


def test_the_longest_bar_is_full() -> None:
    page = report_page(make_summary(), answered(CHOICES))
    widths = re.findall(r'class="bar" style="width: ([\d.]+)%', page)
    assert [float(width) for width in widths] == pytest.approx(
        [100 * n / 70 for n in OF_TEACHER], abs=0.1
    )
