"""A table that breaks its rules is not saved: each rule with a row that breaks it alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kedro.io.core import DatasetError, Version

from persyn_kedro.datasets.parquet_table import ROW_GROUP, ParquetTable
from persyn_kedro.domain.rewards import compute_rewards
from persyn_kedro.domain.routers.assignment import with_pool
from persyn_kedro.foundations import schemas
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.step_parameters import LabelSettings
from persyn_kedro.foundations.table_checks import TableCheck
from persyn_kedro.foundations.table_rules import COLUMNS, rules_of

CATALOG = Path(__file__).parents[2] / "conf" / "base" / "catalog.yml"
ID, OTHER_ID, KEY = text_id("p"), text_id("q"), text_id("k")
NAN, INF = float("nan"), float("inf")
ANSWER = {"prompt_id": ID, "teacher": "a", "response_key": KEY}
RESPONSE = {
    **ANSWER,
    "weights_id": "hub:o/m@1",
    "recipe_id": KEY,
    "sample_index": 0,
    "response": "4",
    "finish_reason": "stop",
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "error": None,
    "engine": "vllm",
}
UNASKED = {"response": "", "finish_reason": "error", "error": "not asked", "engine": None}
UNSCORED = dict.fromkeys(("sum_logp", "sum_rank_100", "sum_p2", "sum_p_true", "logp"))
REWARD = {
    **ANSWER,
    "quality": 1.0,
    "learnability": -0.5,
    "quality_normalised": 1.0,
    "learnability_normalised": 0.5,
    "reward": 0.8,
    "valid": True,
}
INVALID = {"quality_normalised": None, "learnability_normalised": None, "reward": None}
CALLS = {
    "teacher": "a",
    "responses": 3,
    "calls": 2,
    "prompt_tokens": 9,
    "completion_tokens": 6,
    "errors": 1,
    "cost": 0.5,
}
USER, SYSTEM = {"role": "user", "content": "2+2?"}, {"role": "system", "content": ""}
ASSISTANT = {"role": "assistant", "content": "4"}
# One good row of each table, and what other good rows have instead.
GOOD: dict[str, dict[str, Any]] = {
    "prompts": {
        "prompt_id": ID,
        "prompt": "2+2?",
        "reference": "4",
        "source": "p.jsonl",
        "metadata": "{}",
    },
    "test_set": {
        "prompt_id": ID,
        "prompt": "2+2?",
        "reference": "4",
        "source": "p.jsonl",
        "metadata": None,
    },
    "splits": {"prompt_id": ID, "split": "calibration", "part": "fit"},
    "calibration_set": {"prompt_id": ID, "prompt": "2+2?"},
    "responses": RESPONSE,
    "calls": CALLS,
    "plan": {
        "step": "label",
        "teacher": "a",
        "responses": 3.0,
        "calls": 1.5,
        "prompt_tokens": 9.0,
        "completion_tokens": 6.0,
        "most_completion_tokens": 8.0,
        "cost": 0.5,
        "most_cost": 0.75,
        "basis": "max_new_tokens",
    },
    # Two tokens of log-probability -0.5 and -1: p = 0.607 and 0.368.
    "token_statistics": {
        **ANSWER,
        "tokens": 2,
        "sum_logp": -1.5,
        "sum_rank_100": 3.0,
        "sum_p2": 1.2,
        "sum_p_true": 0.975,
        "logp": [-0.5, -1.0],
    },
    "quality": {**ANSWER, "quality": -17.5},
    "rewards": REWARD,
    "assignments": {"prompt_id": ID, "teacher": "a", "scores": [0.5, -2.0], "margin": 2.5},
    "routed_responses": {"rank": 0, "quality": 1.0, **RESPONSE},
    "sft_dataset": {
        "prompt": [USER],
        "completion": [ASSISTANT],
        "teacher": "a",
        "scores": [0.5, -2.0],
        "reward": 0.8,
        "prompt_id": ID,
        "response_key": KEY,
        "part": "sft",
    },
    "allocations": {"strategy": "mix", "prompt_id": ID, "choices": ["a", "b"]},
    "alpha_scores": {"alpha": 1.0, "prompt_id": ID, "scores": [0.5, -2.0]},
    "router_scores": {
        "kind": "knn",
        "size": 0.5,
        "fitted_on": 4,
        "fold": 0,
        "prompt_id": ID,
        "scores": [0.5, -2.0],
    },
    "strategy_responses": {"strategy": "mix", "rank": 0, "quality": 1.0, **RESPONSE},
    "strategy_tokens": {
        "strategy": "mix",
        "teacher": "a",
        **dict.fromkeys(schemas.STRATEGY_TOKENS.names[2:], 2),
        "whole_calls": 3,
    },
    "strategy_examples": {
        "strategy": "mix",
        "prompt_id": ID,
        "teacher": "a",
        "response_key": KEY,
        "prompt": "2+2?",
        "response": "4",
    },
    "preference_pairs": {
        "prompt_id": ID,
        "prompt": "2+2?",
        "chosen": "4",
        "rejected": "5",
        "part": "fit",
    },
    "trials": {
        "strategy": "mix",
        "seed": 1,
        "prompt_id": ID,
        "response_key": KEY,
        "finish_reason": "stop",
        "completion_tokens": 3,
        "quality": 1.0,
    },
}
ALSO_GOOD: list[tuple[str, dict[str, Any]]] = [
    ("prompts", {"reference": None, "metadata": None}),
    ("splits", {"split": "calibration", "part": "holdout"}),
    ("splits", {"split": "train", "part": "sft"}),
    ("splits", {"split": "train", "part": "withheld"}),
    ("splits", {"split": "test", "part": None}),
    ("responses", UNASKED),
    ("responses", {"finish_reason": "length"}),
    ("responses", {"response": ""}),
    ("calls", {"responses": 0, "calls": 0, "errors": 0, "cost": 0.0}),
    ("token_statistics", {"tokens": 0, **UNSCORED}),
    ("token_statistics", {"tokens": 5000, **UNSCORED}),  # longer than the student's context
    ("token_statistics", {"sum_logp": 1e-7, "sum_rank_100": 2.0, "sum_p2": 2.0001}),
    ("token_statistics", {"sum_logp": NAN, "sum_p2": NAN, "sum_p_true": NAN, "logp": [NAN, NAN]}),
    ("quality", {"quality": None}),
    ("rewards", {**INVALID, "valid": False, "response_key": None, "quality": None}),
    ("rewards", {**INVALID, "valid": False, "quality": -INF, "learnability": -INF}),
    ("rewards", {"learnability": 3.5}),  # of a signal of the user's own
    ("rewards", {"quality": None, "quality_normalised": None, "reward": 1 + 1e-10}),
    ("assignments", {"scores": [1.0, 1.0], "margin": 0.0}),
    ("routed_responses", {**UNASKED, "rank": 2, "quality": None}),
    ("sft_dataset", {"prompt": [SYSTEM, USER], "reward": None, "part": "withheld"}),
    ("trials", {"seed": None, "quality": -3.5}),
]
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("prompts", "prompt_id", {"prompt_id": None}),
    ("prompts", "prompt_id", {"prompt_id": ID.upper()}),
    ("prompts", "prompt_id", {"prompt_id": ID[:31]}),
    ("prompts", "prompt_id", {"prompt_id": ID + "\n"}),
    ("prompts", "prompt", {"prompt": None}),
    ("prompts", "prompt", {"prompt": " \n\u3000"}),
    ("prompts", "source", {"source": None}),
    ("prompts", "source", {"source": ""}),
    ("splits", "prompt_id", {"prompt_id": None}),
    ("splits", "split", {"split": "validation"}),
    ("splits", "split", {"split": None}),
    ("splits", "part", {"part": None}),
    ("splits", "part", {"part": "sft"}),
    ("splits", "part", {"split": "train", "part": "fit"}),
    ("splits", "part", {"split": "test", "part": "sft"}),
    ("splits", "part", {"split": "test", "part": "other"}),
    ("calibration_set", "prompt_id", {"prompt_id": "p"}),
    ("calibration_set", "prompt", {"prompt": ""}),
    ("responses", "teacher", {"teacher": None}),
    ("responses", "teacher", {"teacher": " "}),
    ("responses", "response_key", {"response_key": None}),
    ("responses", "weights_id", {"weights_id": None}),
    ("responses", "recipe_id", {"recipe_id": "r"}),
    ("responses", "prompt_id", {"prompt_id": None}),
    ("responses", "sample_index", {"sample_index": -1}),
    ("responses", "response", {"response": None}),
    ("responses", "finish_reason", {"finish_reason": "content_filter"}),
    ("responses", "finish_reason", {"finish_reason": None}),
    ("responses", "prompt_tokens", {"prompt_tokens": -1}),
    ("responses", "completion_tokens", {"completion_tokens": None}),
    ("responses", "error", {"error": "no"}),
    ("responses", "error", {"finish_reason": "error"}),
    ("plan", "calls", {"calls": 3.5}),
    ("plan", "completion_tokens", {"completion_tokens": 8.5}),
    ("plan", "step", {"step": None}),
    ("plan", "cost", {"cost": -1.0}),
    ("calls", "teacher", {"teacher": None}),
    ("calls", "responses", {"responses": None}),
    ("calls", "calls", {"calls": -1}),
    ("calls", "calls", {"calls": 4}),
    ("calls", "prompt_tokens", {"prompt_tokens": -1}),
    ("calls", "completion_tokens", {"completion_tokens": -1}),
    ("calls", "errors", {"errors": 4}),
    ("calls", "cost", {"cost": -0.5}),
    ("calls", "cost", {"cost": NAN}),
    ("token_statistics", "response_key", {"response_key": None}),
    ("token_statistics", "tokens", {"tokens": None}),
    ("token_statistics", "tokens", {"tokens": -1, **UNSCORED}),
    ("token_statistics", "sum_logp", {"sum_logp": 0.1}),
    ("token_statistics", "sum_logp", {"sum_logp": None}),
    ("token_statistics", "sum_rank_100", {"sum_rank_100": 1.0}),
    ("token_statistics", "sum_rank_100", {"sum_rank_100": 201.0}),
    ("token_statistics", "sum_rank_100", {**UNSCORED, "sum_rank_100": 3.0}),
    ("token_statistics", "sum_p2", {"sum_p2": 2.1}),
    ("token_statistics", "sum_p_true", {"sum_p_true": -0.1}),
    ("token_statistics", "logp", {"logp": [-0.5]}),
    (
        "token_statistics",
        "logp",
        {"tokens": 0, "logp": [], "sum_logp": 0.0, "sum_rank_100": 0.0, "sum_p2": 0.0}
        | {"sum_p_true": 0.0},
    ),
    ("quality", "teacher", {"teacher": ""}),
    ("quality", "quality", {"quality": INF}),
    ("quality", "quality", {"quality": NAN}),
    ("rewards", "prompt_id", {"prompt_id": "x" * 32}),
    ("rewards", "quality", {"quality": NAN}),
    ("rewards", "learnability", {"learnability": NAN}),
    ("rewards", "quality_normalised", {"quality_normalised": 1.001}),
    ("rewards", "quality_normalised", {**INVALID, "valid": False, "quality_normalised": 0.5}),
    ("rewards", "learnability_normalised", {"learnability_normalised": -0.001}),
    (
        "rewards",
        "learnability_normalised",
        {**INVALID, "valid": False, "learnability_normalised": 0.5},
    ),
    ("rewards", "reward", {"reward": 1.001}),
    ("rewards", "reward", {"reward": NAN}),
    ("rewards", "reward", {"reward": None}),
    ("rewards", "reward", {**INVALID, "valid": False, "reward": 0.5}),
    ("rewards", "valid", {"valid": None}),
    ("assignments", "prompt_id", {"prompt_id": None}),
    ("assignments", "teacher", {"teacher": None}),
    ("assignments", "scores", {"scores": None}),
    ("assignments", "scores", {"scores": [1.0]}),
    ("assignments", "scores", {"scores": [1.0, NAN]}),
    ("assignments", "scores", {"scores": [INF, 1.0]}),
    ("assignments", "scores", {"scores": [1.0, None]}),
    ("assignments", "margin", {"margin": -0.5}),
    ("assignments", "margin", {"margin": NAN}),
    ("assignments", "margin", {"margin": None}),
    ("routed_responses", "rank", {"rank": -1}),
    ("routed_responses", "quality", {"quality": 1.5}),
    ("routed_responses", "error", {"finish_reason": "error"}),
    ("sft_dataset", "prompt", {"prompt": []}),
    ("sft_dataset", "prompt", {"prompt": None}),
    ("sft_dataset", "prompt", {"prompt": [USER, SYSTEM]}),
    ("sft_dataset", "prompt", {"prompt": [USER, USER]}),
    ("sft_dataset", "prompt", {"prompt": [ASSISTANT]}),
    ("sft_dataset", "prompt", {"prompt": [None]}),
    ("sft_dataset", "prompt", {"prompt": [{"role": "user", "content": None}]}),
    ("sft_dataset", "prompt", {"prompt": [{"role": "system", "content": None}, USER]}),
    ("sft_dataset", "completion", {"completion": [{"role": "assistant", "content": " "}]}),
    ("sft_dataset", "completion", {"completion": [USER]}),
    ("sft_dataset", "completion", {"completion": [ASSISTANT, ASSISTANT]}),
    ("sft_dataset", "scores", {"scores": [NAN, 1.0]}),
    ("sft_dataset", "reward", {"reward": -0.001}),
    ("sft_dataset", "response_key", {"response_key": None}),
    ("sft_dataset", "part", {"part": "fit"}),
    ("allocations", "strategy", {"strategy": ""}),
    ("allocations", "choices", {"choices": []}),
    ("alpha_scores", "alpha", {"alpha": 1.5}),
    ("router_scores", "scores", {"scores": [NAN, 1.0]}),
    ("router_scores", "size", {"size": 2.0}),
    ("strategy_responses", "error", {"finish_reason": "error"}),
    ("strategy_tokens", "prompt_tokens", {"prompt_tokens": -1}),
    ("strategy_tokens", "whole_calls", {"whole_calls": 1}),
    ("strategy_examples", "response", {"response": " "}),
    ("trials", "quality", {"quality": float("inf")}),
    ("trials", "finish_reason", {"finish_reason": "done"}),
    ("preference_pairs", "part", {"part": "test"}),
]
KEYS = [
    ("prompts", "prompt_id"),
    ("splits", "prompt_id"),
    ("calibration_set", "prompt_id"),
    ("responses", "prompt_id and teacher"),
    ("calls", "teacher"),
    ("plan", "step and teacher"),
    ("token_statistics", "prompt_id and teacher"),
    ("quality", "prompt_id and teacher"),
    ("rewards", "prompt_id and teacher"),
    ("assignments", "prompt_id"),
    ("routed_responses", "prompt_id"),
    ("sft_dataset", "prompt_id"),
    ("allocations", "strategy and prompt_id"),
    ("alpha_scores", "alpha and prompt_id"),
    ("router_scores", "kind and size and prompt_id"),
    ("strategy_responses", "strategy and prompt_id"),
    ("strategy_tokens", "strategy and teacher"),
    ("test_set", "prompt_id"),
    ("strategy_examples", "strategy and prompt_id"),
    ("trials", "strategy and seed and prompt_id"),
    ("preference_pairs", "prompt_id and chosen and rejected"),
]


def rows_of(kind: str, *changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([{**GOOD[kind], **change} for change in changes], COLUMNS[kind])


def another(kind: str) -> dict[str, Any]:
    """What makes a good row another one."""
    by_teacher = ("calls", "plan", "strategy_tokens")
    return {"teacher": "b"} if kind in by_teacher else {"prompt_id": OTHER_ID}


def check(kind: str, *tables: pa.Table) -> None:
    checking = TableCheck(kind, kind, tables[0].schema)
    for table in tables:
        checking.check(table)


def refusal(kind: str, *tables: pa.Table) -> str:
    with pytest.raises(PersynError) as caught:
        check(kind, *tables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_good_table_passes_empty_or_not(kind: str) -> None:
    check(kind, rows_of(kind), rows_of(kind, {}, another(kind)), rows_of(kind))


@pytest.mark.parametrize(("kind", "change"), ALSO_GOOD)
def test_unusual_rows_that_the_steps_make_pass(kind: str, change: dict[str, Any]) -> None:
    check(kind, rows_of(kind, change))


@pytest.mark.parametrize(("kind", "column", "change"), BROKEN)
def test_a_row_that_breaks_a_rule_is_refused(
    kind: str, column: str, change: dict[str, Any]
) -> None:
    sentence = refusal(kind, rows_of(kind, another(kind)), rows_of(kind, change))
    assert sentence.startswith(f"Table {kind} is not saved: {column} must ")
    assert " in row 2 (" in sentence


@pytest.mark.parametrize(("kind", "key"), KEYS)
@pytest.mark.parametrize("pieces", [1, 2])
def test_keys_are_unique_within_and_across_pieces(kind: str, key: str, pieces: int) -> None:
    table = rows_of(kind, {}, another(kind), {})
    parts = [table] if pieces == 1 else [table.slice(0, 2), table.slice(2)]
    sentence = refusal(kind, *parts)
    assert f"{key} must be unique, but is repeated in row 3 (" in sentence


@pytest.mark.parametrize("kind", ["responses", "token_statistics", "quality", "rewards"])
def test_teachers_may_share_a_prompt(kind: str) -> None:
    check(kind, rows_of(kind, {}, {"teacher": "b"}))


@pytest.mark.parametrize("kind", ["assignments", "sft_dataset"])
@pytest.mark.parametrize("pieces", [1, 2])
def test_scores_have_one_length(kind: str, pieces: int) -> None:
    table = rows_of(kind, {}, {**another(kind), "scores": [1.0, 2.0, 3.0]})
    parts = [table] if pieces == 1 else [table.slice(0, 1), table.slice(1)]
    sentence = refusal(kind, *parts)
    assert "scores must have one length in all rows (2)" in sentence
    assert f"in row 2 (prompt_id {OTHER_ID})" in sentence


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_are_exactly_the_tables(kind: str) -> None:
    good = COLUMNS[kind]
    assert list(rules_of(kind).columns) and set(rules_of(kind).columns) == set(good.names)
    check(kind, rows_of(kind).replace_schema_metadata({"unsettled": "3"}))
    last = len(good) - 1
    for wrong, place in (
        (good.remove(0), 1),
        (good.append(pa.field("more", pa.int64())), last + 2),
        (good.set(last, pa.field(good.names[last], pa.binary())), last + 1),
        (pa.schema([good.field(last), *list(good)[:-1]]), 1),
    ):
        with pytest.raises(PersynError, match=f"{kind} is not saved: column {place} must be "):
            TableCheck(kind, kind, wrong)


def test_the_sentence_names_table_column_rule_value_and_row() -> None:
    sentence = refusal("rewards", rows_of("rewards", {"teacher": "b"}, {"reward": 1.5}))
    assert sentence == (
        "Table rewards is not saved: reward must be null or from 0 to 1, but is 1.5 in row 2 "
        f"(prompt_id {ID}, teacher a)."
    )


def test_every_table_of_the_catalog_names_its_rules() -> None:
    catalog = yaml.safe_load(CATALOG.read_text())
    tables = {n: e for n, e in catalog.items() if e["type"].endswith("ParquetTable")}
    kinds = {name: entry.get("table") for name, entry in tables.items()}
    assert set(kinds.values()) == set(COLUMNS)
    assert {n: k for n, k in kinds.items() if n in COLUMNS} == {k: k for k in COLUMNS if k in kinds}


def test_rules_that_are_not_there_are_refused() -> None:
    with pytest.raises(PersynError, match="no table 'reward'"):
        ParquetTable(filepath="rewards.parquet", table="reward")


def test_the_registry_does_not_import_pandera() -> None:
    code = (
        "import sys, persyn_kedro.pipeline_registry, persyn_kedro.datasets.parquet_table;"
        "sys.exit('pandera' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def stream(count: int, size: int, broken: int | None = None) -> pa.RecordBatchReader:
    """Return assignments in batches; one row may have a margin below 0."""

    def batches():
        for start in range(0, count, size):
            rows = [
                {
                    **GOOD["assignments"],
                    "prompt_id": text_id(str(i)),
                    "margin": -1.0 if i == broken else 1.0,
                }
                for i in range(start, min(start + size, count))
            ]
            yield pa.RecordBatch.from_pylist(rows, schemas.ASSIGNMENTS)

    return pa.RecordBatchReader.from_batches(with_pool([]), batches())


def test_a_stream_whose_second_part_is_broken_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "assignments.parquet"
    dataset = ParquetTable(filepath=str(root), table="assignments", version=Version(None, "v"))
    with pytest.raises(DatasetError) as caught:
        dataset.save(stream(ROW_GROUP + 10, ROW_GROUP, broken=ROW_GROUP + 4))
    assert isinstance(caught.value.__cause__, PersynError)
    assert f"margin must be finite and 0 or more, but is -1.0 in row {ROW_GROUP + 5} " in str(
        caught.value.__cause__
    )
    assert list(root.iterdir()) == []
    assert not dataset.exists()


def test_a_good_stream_of_small_batches_is_saved(tmp_path: Path) -> None:
    root = tmp_path / "assignments.parquet"
    dataset = ParquetTable(filepath=str(root), table="assignments", version=Version(None, "v"))
    dataset.save(stream(50, 16))
    assert [path.name for path in root.iterdir()] == ["v"]


# Reward models score in float32, and a log-likelihood is never above 0.
any_number = st.floats(width=32)
scores = st.one_of(st.none(), any_number)
sums = st.one_of(st.none(), any_number.map(lambda x: -abs(x)))
answers = st.tuples(
    scores,
    sums,
    st.integers(0, 5),
    st.sampled_from(["", "text"]),
    st.sampled_from(["stop", "length"]),
)


@given(
    st.lists(st.lists(st.one_of(st.none(), answers), min_size=3, max_size=3), max_size=4),
    st.sampled_from([0.0, 0.4, 1 / 3, 1.0]),
    st.booleans(),
    st.sampled_from(["keep", "leave_out"]),
)
def test_any_rewards_that_are_computed_pass(prompts, alpha, allowed, unsolved) -> None:
    responses, statistics, quality = [], [], []
    for number, answers_of_prompt in enumerate(prompts):
        for teacher, found in zip("abc", answers_of_prompt, strict=True):
            if found is None:
                continue
            q, sum_logp, tokens, text, reason = found
            prompt_id = text_id(str(number))
            row = {"response_key": text_id(prompt_id + teacher)}
            place = {"prompt_id": prompt_id, "teacher": teacher}
            responses.append({**place, **row, "response": text, "finish_reason": reason})
            statistics.append({**row, "tokens": tokens, "sum_logp": sum_logp})
            quality.append({**row, "quality": q})
    settings = LabelSettings(alpha=alpha, allow_truncated=allowed, unsolved=unsolved)
    table = compute_rewards(
        pa.Table.from_pylist(responses, schemas.RESPONSES),
        pa.Table.from_pylist(statistics, schemas.TOKEN_STATISTICS),
        pa.Table.from_pylist(quality, schemas.QUALITY),
        ["a", "b", "c"],
        settings,
    )
    check("rewards", table)
