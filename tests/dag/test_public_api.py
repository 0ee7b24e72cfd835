"""The job as functions, without a Kedro project: lists, Arrow and pandas in, Arrow tables out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import persyn_kedro as persyn
from persyn_kedro.domain.routers import weighed_by
from persyn_kedro.foundations.errors import PersynError
from tests.support.talks import STRICT

PROMPTS = [{"prompt": f"{a} + {b} = ?", "reference": str(a + b)} for a in range(4) for b in (3, 8)]


@pytest.fixture
def pool(tmp_path: Path) -> persyn.Pool:
    return persyn.pool(
        models={f"tiny-{i}": {"random": "chat", "random_seed": i} for i in (1, 2, 3)},
        teachers={
            "brief": {"model": "tiny-1", "sampling": {"max_new_tokens": 6}},
            "other": {"model": "tiny-2", "sampling": {"max_new_tokens": 6}},
        },
        student="tiny-3",
        engine={"name": "transformers", "max_model_len": 256},
        stores=tmp_path / "stores",
    )


def test_from_prompts_to_routed_answers_and_nothing_is_paid_twice(
    pool: persyn.Pool, tmp_path: Path
) -> None:
    labels = persyn.label(PROMPTS, pool, alpha=0.4, allow_truncated=True)
    rewards = labels.rewards.to_pandas()
    assert len(rewards) == 2 * len(PROMPTS) and labels.calls["calls"].to_pylist() == [8, 8]
    assert np.allclose(
        rewards["reward"],
        0.6 * rewards["quality_normalised"] + 0.4 * rewards["learnability_normalised"],
    )
    router = persyn.fit_router(labels, pool, tmp_path / "router", neighbours=2)
    frame = pd.DataFrame([*PROMPTS, {"prompt": "9 + 9 = ?", "reference": "18"}])
    assignments = persyn.route(frame, router, pool)
    assert assignments["teacher"].to_pylist() == [
        list(pool.teachers.root)[np.argmax(scores)] for scores in assignments["scores"].to_pylist()
    ]
    responses, calls = persyn.generate(
        pa.Table.from_pandas(frame), assignments, pool, allow_truncated=True
    )
    pairs = [
        {row["prompt_id"]: row["teacher"] for row in table.to_pylist()}
        for table in (responses, assignments)
    ]
    assert pairs[0] == pairs[1] and len(pairs[0]) == 9
    assert sum(calls["calls"].to_pylist()) == 1, "calibration answers come from the store"
    again = persyn.label(PROMPTS, pool, alpha=0.4, allow_truncated=True)
    assert again.calls["calls"].to_pylist() == [0, 0] and again.rewards.equals(labels.rewards)


def test_costs_and_limits_weigh_in_routing(pool: persyn.Pool, tmp_path: Path) -> None:
    labels = persyn.label(PROMPTS, pool, alpha=0.4, allow_truncated=True)
    router = persyn.fit_router(labels, pool, tmp_path / "router", neighbours=2)
    new = [*PROMPTS, *({"prompt": f"9 + {n} = ?", "reference": str(9 + n)} for n in range(4))]
    with pytest.raises(PersynError, match="give labels="):
        persyn.route(new, router, pool, budget={"max_tokens": 1000})
    with pytest.raises(PersynError, match="leaves room for 0.5 of the prompts"):
        persyn.route(new, router, pool, labels=labels, capacity={"brief": 0.25, "other": 0.25})
    with pytest.raises(PersynError, match="the cheapest teachers' answers"):
        persyn.route(new, router, pool, labels=labels, budget={"max_tokens": 1})
    found = persyn.route(new, router, pool, labels=labels, capacity={"brief": 0.25})
    assert found["teacher"].to_pylist().count("brief") <= 0.25 * len(new)
    # labelled prompts lack no answer: the limit is on the four new ones alone
    roomy = persyn.route(new, router, pool, labels=labels, budget={"max_tokens": 10_000})
    note = weighed_by(roomy.schema)
    assert note is not None
    assert note["score_lost"] == pytest.approx(0, abs=1e-6)
    assert 0 < note["expected"]["tokens"] < 4 * 100 and note["prompts"] == len(new)


def test_conversations_that_a_template_rejects_are_refused_before_a_call(tmp_path: Path) -> None:
    strict = {"random": "chat", "chat_template": STRICT}
    pool = persyn.pool(
        models={"tiny": {"random": "chat"}, "strict": strict},
        teachers={"a": {"model": "tiny"}, "b": {"model": "strict"}},
        student="tiny",
        engine="transformers",
        stores=tmp_path,
    )
    talk = [{"role": role, "content": "What is 2 plus 1?"} for role in ("user", "tool", "user")]
    with pytest.raises(PersynError, match=r"'strict' \(teachers\.b\.model\)"):
        persyn.label([talk], pool, alpha=1.0)
    assert not (tmp_path / "responses").exists()


def test_lists_of_messages_are_prompts_too(pool: persyn.Pool, tmp_path: Path) -> None:
    talks = [
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": f"{n} + 1 = ?"},
        ]
        for n in range(4)
    ]
    prompts = [*PROMPTS[:3], *talks[:3], {"messages": talks[3], "reference": "4"}]
    labels = persyn.label(prompts, pool, alpha=1.0, allow_truncated=True)
    assert labels.prompts["messages"].to_pylist() == [None] * 3 + talks
    assert labels.calls["calls"].to_pylist() == [7, 7]
    router = persyn.fit_router(labels, pool, tmp_path / "router", neighbours=2)
    assignments = persyn.route(labels.prompts, router, pool)
    assert assignments["prompt_id"] == labels.prompts["prompt_id"]
    responses, calls = persyn.generate(prompts, assignments, pool, allow_truncated=True)
    assert len(responses) == 7 and sum(calls["calls"].to_pylist()) == 0


def test_several_answers_of_a_teacher(tmp_path: Path) -> None:
    drawn = {"max_new_tokens": 6, "temperature": 1.0}
    pool = persyn.pool(
        models={f"tiny-{i}": {"random": "chat", "random_seed": i} for i in (1, 2, 3)},
        teachers={
            "often": {"model": "tiny-1", "sampling": drawn, "samples": 3},
            "once": {"model": "tiny-2", "sampling": drawn},
        },
        student="tiny-3",
        engine={"name": "transformers", "max_model_len": 256},
        stores=tmp_path / "stores",
    )
    labels = persyn.label(PROMPTS, pool, allow_truncated=True)
    assert labels.calls["calls"].to_pylist() == [3 * 8, 8]
    assert len(labels.responses) == 4 * 8 and len(labels.rewards) == 2 * 8
    rows = labels.rewards.to_pylist()
    best = {(r["prompt_id"], r["teacher"]): r["response_key"] for r in rows}
    router = persyn.fit_router(labels, pool, tmp_path / "router", neighbours=2)
    assignments = persyn.route(PROMPTS, router, pool)
    responses, calls = persyn.generate(
        PROMPTS, assignments, pool, labels=labels, allow_truncated=True
    )
    assert sum(calls["calls"].to_pylist()) == 0
    assert {(r["prompt_id"], r["teacher"]): r["response_key"] for r in responses.to_pylist()} == {
        (p, t): best[p, t]
        for p, t in zip(
            assignments["prompt_id"].to_pylist(), assignments["teacher"].to_pylist(), strict=True
        )
    }
    responses, calls = persyn.generate(
        PROMPTS, assignments, pool, allow_truncated=True, samples=3, keep="all"
    )
    to_once = assignments["teacher"].to_pylist().count("once")
    assert sum(calls["calls"].to_pylist()) == 2 * to_once and len(responses) == 3 * 8


def test_bad_input_is_one_sentence(pool: persyn.Pool) -> None:
    with pytest.raises(PersynError, match=r"label.alpha: .*less than or equal to 1"):
        persyn.label(PROMPTS, pool, alpha=2.0)
    with pytest.raises(PersynError, match="Unknown parameter label.alhpa"):
        persyn.label(PROMPTS, pool, alhpa=0.4)
    with pytest.raises(PersynError, match="Row 2 of the prompts has no text in 'prompt'"):
        persyn.label([*PROMPTS[:1], {"text": "?"}], pool)
    with pytest.raises(PersynError, match="student.model is 'none'"):
        persyn.pool(pool.models.root, pool.teachers.root, "none")
