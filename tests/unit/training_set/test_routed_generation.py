"""Rounds of questions, the training set and its checks: those of plain dictionaries."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import given, settings, strategies as st

from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.routers import assignment
from persyn_kedro.domain.routers.assignment import assignments, ranked_places
from persyn_kedro.domain.teachers.recipe import Recipe
from persyn_kedro.domain.training_set.checking import EXACT, quality_checker
from persyn_kedro.domain.training_set.merge import is_trainable, trainable_text
from persyn_kedro.domain.training_set.routed import routed_rounds
from persyn_kedro.foundations.hashing import settings_id
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from persyn_kedro.foundations.tables import schemas
from tests.support.tables import dataset, prompts_of, sft_rows

pytestmark = pytest.mark.usefixtures("small_blocks")

TEACHERS = ["a", "b", "c"]
FEW = settings(max_examples=60)
FINISHES = st.sampled_from(["stop", "length", "error"])


def plain_rounds(
    prompts: dict[str, str],
    choices: dict[str, list[str]],
    setting: GenerateSettings,
    allow_truncated: bool,
    outcome: Callable[[str, str], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The rounds with a dictionary for each row."""
    several = "next_choice" in (setting.verification, setting.on_failure)
    open_prompts, kept = list(prompts), []
    for rank in range(setting.max_calls if several else 1):
        open_prompts = [p for p in open_prompts if rank < len(choices[p])]
        pairs = [(t, p) for t in TEACHERS for p in open_prompts if choices[p][rank] == t]
        rows = [{**outcome(t, p), "rank": rank} for t, p in pairs]
        rejected = set()
        for row in rows:
            failed = row["finish_reason"] == "error"
            wrong = row["quality"] == 0.0
            if setting.verification == "next_choice":
                wrong |= not is_trainable(row, allow_truncated)
            if setting.verification == "keep":
                wrong = False
            if wrong or (failed and setting.on_failure == "next_choice"):
                rejected.add(row["prompt_id"])
        kept += [row for row in rows if row["prompt_id"] not in rejected]
        open_prompts = [p for p in open_prompts if p in rejected]
    return kept


@given(
    st.lists(st.permutations(TEACHERS), max_size=8),
    st.sampled_from(["keep", "drop", "next_choice"]),
    st.sampled_from(["leave_out", "next_choice"]),
    st.booleans(),
    st.integers(0, 1000),
)
@FEW
def test_rounds_are_those_of_dictionaries(
    orders: list[list[str]], verification: str, on_failure: str, allow: bool, seed: int
) -> None:
    setting = GenerateSettings(verification=verification, on_failure=on_failure, max_calls=2)  # type: ignore[arg-type]
    prompts = {f"p{i}": f"text {i}" for i in range(len(orders))}
    choices = dict(zip(prompts, orders, strict=True))

    def outcome(teacher: str, prompt_id: str) -> dict[str, Any]:
        draw = np.random.default_rng([seed, ord(teacher), int(prompt_id[1:])])
        finish = draw.choice(["stop", "length", "error"])
        quality = draw.choice([None, 0.0, 1.0])
        row = dict.fromkeys(schemas.OUTCOMES.names)
        key = teacher + prompt_id
        row |= {"teacher": teacher, "prompt_id": prompt_id, "response_key": key}
        return {**row, "finish_reason": str(finish), "quality": quality}

    places = np.array([[TEACHERS.index(t) for t in line] for line in orders]).reshape(-1, 3)
    rounds = routed_rounds(prompts_of(prompts), places, TEACHERS, setting, allow)
    answered = None
    while True:
        try:
            wanted = rounds.send(answered)  # type: ignore[arg-type]
        except StopIteration as end:
            found = end.value.to_pylist()
            break
        assert all(prompts[p] == text for pairs in wanted.values() for p, text in pairs)
        rows = [outcome(t, p) for t, pairs in wanted.items() for p, _ in pairs]
        tables = (schemas.OUTCOMES, schemas.QUALITY, schemas.QUALITY)
        answered = tuple(pa.Table.from_pylist(rows, schema) for schema in tables)
    assert found == plain_rounds(prompts, choices, setting, allow, outcome)


@given(
    st.lists(st.tuples(st.sampled_from(TEACHERS), FINISHES, st.text("ab <>think/", max_size=9))),
    st.lists(st.sampled_from([None, 0.25]), min_size=9, max_size=9),
    st.sampled_from([None, "", "Be kind."]),
    st.booleans(),
    st.sets(st.integers(0, 9)),
)
@FEW
def test_the_training_set_is_that_of_dictionaries(
    answers: list[tuple[str, str, str]],
    known: list[float | None],
    system: str | None,
    allow: bool,
    unsolved: set[int],
) -> None:
    parts = ["fit", "withheld", "sft"]
    prompts: dict[str, Any] = {
        f"p{i}": {"prompt": f"{i}?", "part": parts[i % 3]} for i in range(len(answers) + 2)
    }
    turns = [{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "1?"}]
    prompts["p1"] |= {"messages": [{"role": "user", "content": "Hi"}, *turns], "kept": '{"id": 7}'}
    prompts["p0"]["messages"] = [{"role": "system", "content": "Own."}, *turns]
    thinks: Any = {"a": "keep", "b": "strip", "c": "strip"}
    routed = [
        {"prompt_id": f"p{i}", "response_key": f"k{i}", "teacher": t}
        | {"finish_reason": f, "response": text}
        for i, (t, f, text) in enumerate(answers)
    ]
    routed.sort(key=lambda row: row["teacher"])
    scores = {p: [float(i), 0.5] for i, p in enumerate(reversed(prompts))}
    rewards = dict(zip(((f"p{i}", t) for i in range(3) for t in TEACHERS), known, strict=True))
    left_out = frozenset(f"p{i}" for i in unsolved)
    found = sft_rows(
        pa.Table.from_pylist(routed, schemas.ROUTED_RESPONSES),
        prompts, scores, rewards, thinks, system, allow, left_out,
    )  # fmt: skip
    expected = []
    for row in sorted(routed, key=lambda row: int(row["prompt_id"][1:])):
        p, t = row["prompt_id"], row["teacher"]
        text = trainable_text(row, thinks[t], allow)
        if text is None or p in left_out:
            continue
        asked = prompts[p].get("messages") or [{"role": "user", "content": prompts[p]["prompt"]}]
        told = system if p != "p0" else f"Own.\n\n{system}" if system else "Own."
        first = [] if told is None else [{"role": "system", "content": told}]
        expected.append(
            {
                "prompt": first + asked[p == "p0" :],
                "completion": [{"role": "assistant", "content": text}],
                "teacher": t,
                "scores": scores[p],
                "reward": rewards.get((p, t)),
                "prompt_id": p,
                "response_key": row["response_key"],
                "part": "withheld" if prompts[p]["part"] == "withheld" else "sft",
                "kept": prompts[p].get("kept"),
            }
        )
    assert found == expected


def test_quality_of_blocks_is_that_of_the_whole(tmp_path: Path) -> None:
    from persyn_kedro.domain.stores.tables import QualityStore

    prompts = [
        {"prompt_id": f"p{i}", "prompt": "?", "source": "s", "reference": str(i) if i % 3 else None}
        for i in range(150)
    ]
    rows = [
        dict.fromkeys(schemas.RESPONSES.names)
        | {"prompt_id": f"p{i}", "teacher": "a", "response_key": f"k{i}", "finish_reason": "stop"}
        | {"response": f"\\boxed{{{i - i % 2}}}"}
        for i in reversed(range(150))
    ]
    table = pa.Table.from_pylist(rows, schemas.RESPONSES)
    by_id = {
        row["prompt_id"]: row for row in dataset(prompts, schemas.PROMPTS).to_table().to_pylist()
    }
    mask = [by_id[p]["reference"] is not None for p in table["prompt_id"].to_pylist()]
    store = QualityStore(tmp_path / "whole")
    whole = check_quality(table.filter(pa.array(mask)), by_id, {"a": "keep"}, EXACT, store)

    def texts(outcomes: pa.Table) -> Iterator[pa.RecordBatch]:
        own = {row["response_key"]: row for row in rows}
        for start in range(0, len(outcomes), 40):
            keys = outcomes["response_key"][start : start + 40].to_pylist()
            yield pa.RecordBatch.from_pylist([own[k] for k in keys], schemas.RESPONSES)

    store = QualityStore(tmp_path / "blocks")
    check = quality_checker(dataset(prompts, schemas.PROMPTS), {"a": "keep"}, store, texts)
    for _ in range(2):  # checked, then known
        assert check(table.select(schemas.OUTCOMES.names)).equals(whole)
    check = quality_checker(
        dataset(prompts, schemas.PROMPTS), {"a": "keep"}, store, pa.Table.to_batches
    )
    assert check(table).equals(whole)  # the texts are at hand


def test_places_of_scores_are_ranked_as_teachers_are() -> None:
    scores = np.random.default_rng(0).integers(0, 3, (200, 3)).astype(np.float32)  # ties
    ids = [f"p{i}" for i in range(200)]
    table = pa.Table.from_batches(assignments(ids, [scores[:130], scores[130:]], TEACHERS))
    found, places = ranked_places(pads.dataset(table), 2)
    assert found.to_pylist() == ids and places.shape == (200, 2)
    for row, line in zip(table.to_pylist(), places, strict=True):
        expected = assignment.ranked_teachers(row["scores"], TEACHERS)
        assert [TEACHERS[k] for k in line] == expected[:2]
        assert row["teacher"] == expected[0]
    assert ranked_places(pads.dataset(table), 9)[1].shape == (200, 3)
    assert len(ranked_places(pads.dataset(schemas.ASSIGNMENTS.empty_table()), 2)[1]) == 0


@given(st.text(), st.text(), st.integers(0, 9))
@FEW
def test_a_response_key_is_the_hash_of_its_settings(prompt_id: str, weights: str, n: int) -> None:
    local = ModelSettings(random="chat")
    model: Any = SimpleNamespace(weights_id=weights, chat_template="t", settings=local)
    recipe = Recipe("a", model, None, SamplingSettings())
    names = {"weights_id": weights, "recipe_id": recipe.recipe_id, "prompt_id": prompt_id}
    assert recipe.response_key(prompt_id, n) == settings_id({**names, "sample_index": n})
