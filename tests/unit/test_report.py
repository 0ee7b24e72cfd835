"""The report's figures, its terminal tables and its page, from small tables of a made-up run."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from persyn_kedro.domain.reporting.page import report_page
from persyn_kedro.domain.reporting.summary import build_summary
from persyn_kedro.domain.reporting.terminal import terminal_table
from persyn_kedro.domain.routers.metrics import router_metrics
from persyn_kedro.domain.student.evaluation import accuracy_summary, nll_summary
from persyn_kedro.foundations import schemas

POOL = ["qwen-1.5b-step-by-step", "qwen-0.5b-brief", "gemma-270m", "smollm2-itself"]
CALIBRATION, TRAIN, TEST = 40, 120, 30
OF_TEACHER = [70, 60, 25, 5]  # of the 160 prompts that are not test


def table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema)


def make_summary(
    teachers: list[str] = POOL, notes: tuple[str, ...] = (), holdout: int = 8, beats: bool = False
) -> dict[str, Any]:
    """A run in which teacher k answers ``OF_TEACHER[k]`` prompts with 10 (k + 1) tokens each."""
    split = ["calibration"] * CALIBRATION + ["train"] * TRAIN + ["test"] * TEST
    splits = [{"prompt_id": f"p{i}", "split": s} for i, s in enumerate(split)]
    chosen = [t for t, n in zip(teachers, OF_TEACHER, strict=False) for _ in range(n)]
    chosen += [teachers[0]] * (len(split) - len(chosen))  # the router ranks test prompts too
    assigned = [{"prompt_id": f"p{i}", "teacher": t} for i, t in enumerate(chosen)]
    answered = [
        {**row, "response_key": row["prompt_id"], "completion_tokens": 10 * (teachers.index(t) + 1)}
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
        table(splits, schemas.SPLITS),
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
        teachers,
        list(notes),
    )


def test_the_summary_survives_json() -> None:
    summary = make_summary()
    back = json.loads(json.dumps(summary, allow_nan=False))
    assert (terminal_table(back), report_page(back)) == (
        terminal_table(summary),
        report_page(summary),
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
    said = "does not beat the constant"
    assert said in " ".join(make_summary(beats=False)["notes"])
    assert said not in " ".join(make_summary(beats=True)["notes"])
    assert "could not be measured" in " ".join(make_summary(holdout=0)["notes"])


def test_a_teacher_with_many_invalid_responses_is_named() -> None:
    notes = [note for note in make_summary()["notes"] if "invalid" in note]
    assert len(notes) == len(POOL)  # one of three of each
    assert f"33 % of {POOL[0]}'s calibration responses are invalid" in notes[0]


@pytest.mark.parametrize("holdout", [0, 8])
@pytest.mark.parametrize("pool", [POOL[:2], POOL[:3], POOL])
def test_every_figure_is_drawn_within_the_width(pool: list[str], holdout: int) -> None:
    summary = make_summary(pool, ("The pool holds the student's own model. " * 5,), holdout)
    text = terminal_table(summary)
    assert max(map(len, text.splitlines())) <= 100
    for words in [*pool, str(summary["calls"]["generate_then_select"]), "The pool holds"]:
        assert words in text and words in report_page(summary).replace("&#39;", "'")


def test_a_pool_of_two_has_no_column_twice() -> None:
    assert terminal_table(make_summary(POOL[:2])).count("Hit@1") == 1


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_needs_nothing_else_and_escapes_text() -> None:
    page = report_page(make_summary(["<script>alert(1)</script>", *POOL[1:]], ("a <b> note",)))
    tags = _Tags()
    tags.feed(page)
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "b"}
    assert not [attrs for _, attrs in tags.seen if {"src", "href"} & attrs.keys()]
    assert not re.search(r"url\(|@import|https?://", page)
    assert "prefers-color-scheme: dark" in page


def test_the_longest_bar_is_full() -> None:
    widths = re.findall(r'class="bar" style="width: ([\d.]+)%', report_page(make_summary()))
    assert [float(width) for width in widths] == pytest.approx(
        [100 * n / 70 for n in OF_TEACHER], abs=0.1
    )
