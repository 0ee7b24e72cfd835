"""What each table keeps to beyond its columns' types, as a pandera schema for each.

Nulls are told from NaN in the frames that are checked. Pandera is imported where it is used:
reading the catalog must stay quick.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persyn_kedro.foundations import schemas

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Check, Column, DataFrameSchema

ROUNDING = 1e-9  # of rewards
LOGP_ROUNDING = 1e-6  # nats; of log-likelihoods, which float32 may leave above 0
SUM_ROUNDING = 1e-3  # a token; of sums of float32 probabilities

_PLACES = ["calibration/fit", "calibration/holdout", "train/sft", "train/withheld", "test/"]


@cache
def rules_of(kind: str) -> "DataFrameSchema":
    """Return the rules of the table ``kind``, one of ``COLUMNS``."""
    return _RULES[kind]()


# How a rule is written: as a column's, or between columns for the column that it is about.


def _column(rule: str = "", holds: Callable[[Any], Any] | None = None, null: bool = False) -> Any:
    """Return a column whose values keep to ``rule``; ``null``: or may be null."""
    from pandera.pandas import Check, Column

    checks = [Check(holds, error=rule, n_failure_cases=1)] if holds else []
    return Column(checks=checks, nullable=null)


def _between(column: str, rule: str, holds: Callable[["pd.DataFrame"], Any]) -> "Check":
    from pandera.pandas import Check

    def holds_known(frame: "pd.DataFrame") -> Any:
        return holds(frame).fillna(False).astype(bool)

    return Check(holds_known, name=column, error=rule, ignore_na=False, n_failure_cases=1)


def _schema(columns: Mapping[str, Any], key: list[str], *checks: "Check") -> "DataFrameSchema":
    from pandera.pandas import DataFrameSchema

    return DataFrameSchema(
        dict(columns), checks=list(checks), unique=key, report_duplicates="exclude_first"
    )


def _any() -> "Column":
    return _column(null=True)


def _id(null: bool = False) -> "Column":
    rule = "must be 32 lower hex digits"
    return _column(rule, lambda s: s.str.fullmatch("[0-9a-f]{32}"), null)


def _text() -> "Column":
    return _column("must not be blank", lambda s: s.str.strip() != "")


def _one_of(*values: str) -> "Column":
    return _column(f"must be one of {', '.join(values)}", lambda s: s.isin(values))


def _count() -> "Column":
    return _column("must be 0 or more", lambda s: s >= 0)


def _share() -> "Column":
    rule = "must be null or from 0 to 1"
    return _column(rule, lambda s: s.between(-ROUNDING, 1 + ROUNDING), null=True)


def _finite(null: bool = False) -> "Column":
    return _column("must be finite", lambda s: s.abs() < float("inf"), null)


def _scores() -> "Column":
    def holds(scores: Any) -> Any:
        flat = scores.list.flatten()
        bad = flat.index[~(flat.abs() < float("inf")).fillna(False).astype(bool)]
        return (scores.list.len() >= 2) & ~scores.index.isin(bad)

    return _column("must be two or more finite numbers", holds)


# The tables.


def _prompts() -> "DataFrameSchema":
    columns = {"prompt_id": _id(), "prompt": _text(), "reference": _any(), "source": _text()}
    return _schema({**columns, "metadata": _any()}, ["prompt_id"])


def _splits() -> "DataFrameSchema":
    return _schema(
        {
            "prompt_id": _id(),
            "split": _one_of("calibration", "train", "test"),
            "part": _any(),
        },
        ["prompt_id"],
        _between(
            "part",
            "must be fit or holdout in calibration, sft or withheld in train and null in test",
            lambda f: (f["split"] + "/" + f["part"].fillna("")).isin(_PLACES),
        ),
    )


def _calibration_set() -> "DataFrameSchema":
    return _schema({"prompt_id": _id(), "prompt": _text()}, ["prompt_id"])


def _responses() -> "DataFrameSchema":
    return _schema(_response_columns(), ["prompt_id", "teacher"], _failed_with_an_error())


def _routed_responses() -> "DataFrameSchema":
    columns = {"rank": _count(), "quality": _share(), **_response_columns()}
    return _schema(columns, ["prompt_id"], _failed_with_an_error())


def _response_columns() -> dict[str, Any]:
    return {
        "teacher": _text(),
        "response_key": _id(),
        "weights_id": _text(),
        "recipe_id": _id(),
        "prompt_id": _id(),
        "sample_index": _count(),
        "response": _column(),  # may be empty
        "finish_reason": _one_of("stop", "length", "error"),
        "prompt_tokens": _count(),
        "completion_tokens": _count(),
        "error": _any(),
        "engine": _any(),  # null where the teacher was never asked
    }


def _failed_with_an_error() -> "Check":
    return _between(
        "error",
        "must be set if and only if finish_reason is error",
        lambda f: f["error"].notna() == (f["finish_reason"] == "error"),
    )


def _calls() -> "DataFrameSchema":
    counts = ("responses", "calls", "prompt_tokens", "completion_tokens", "errors", "cost")
    return _schema(
        {"teacher": _text(), **{name: _count() for name in counts}},
        ["teacher"],
        _between("calls", "must be no more than responses", lambda f: f["calls"] <= f["responses"]),
        _between(
            "errors", "must be no more than responses", lambda f: f["errors"] <= f["responses"]
        ),
    )


def _token_statistics() -> "DataFrameSchema":
    """NaN passes where a model's own logits were NaN: such a response has no reward."""
    most = 1 + SUM_ROUNDING
    sums = {
        "sum_logp": ("must be 0 or less", lambda f: ~(f["sum_logp"] > LOGP_ROUNDING)),
        "sum_rank_100": (
            "must be from tokens to 100 tokens",
            lambda f: f["sum_rank_100"].between(f["tokens"], 100 * f["tokens"]),
        ),
        "sum_p2": (
            "must be from 0 to tokens",
            lambda f: ~((f["sum_p2"] < 0) | (f["sum_p2"] > most * f["tokens"])),
        ),
        "sum_p_true": (
            "must be from 0 to tokens",
            lambda f: ~((f["sum_p_true"] < 0) | (f["sum_p_true"] > most * f["tokens"])),
        ),
        "logp": (
            "must have a number for each of the tokens",
            lambda f: (f["logp"].list.len() == f["tokens"]) & (f["tokens"] > 0),
        ),
    }
    return _schema(
        {**_answer(), "tokens": _count(), **dict.fromkeys(sums, _any())},
        ["prompt_id", "teacher"],
        *(
            _between(name, "must be null where logp is, and only there", _as_logp(name))
            for name in sums
        ),
        *(_between(name, rule, _or_null(name, holds)) for name, (rule, holds) in sums.items()),
    )


def _as_logp(name: str) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: frame[name].isna() == frame["logp"].isna()


def _or_null(name: str, holds: Callable[["pd.DataFrame"], Any]) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: holds(frame) | frame[name].isna()


def _answer(key_may_be_null: bool = False) -> dict[str, Any]:
    return {"prompt_id": _id(), "teacher": _text(), "response_key": _id(key_may_be_null)}


def _quality() -> "DataFrameSchema":
    return _schema({**_answer(), "quality": _finite(null=True)}, ["prompt_id", "teacher"])


def _rewards() -> "DataFrameSchema":
    terms = ("quality_normalised", "learnability_normalised")
    only_valid = "must be null where valid is false"
    return _schema(
        {
            **_answer(key_may_be_null=True),  # of a teacher that did not answer
            "quality": _column("must not be NaN", lambda s: s == s, null=True),
            "learnability": _column("must be 0 or less", lambda s: s <= LOGP_ROUNDING, null=True),
            **{name: _share() for name in (*terms, "reward")},
            "valid": _column(),
        },
        ["prompt_id", "teacher"],
        _between(
            "reward",
            "must be set if and only if valid is true",
            lambda f: f["reward"].notna() == f["valid"],
        ),
        *(_between(name, only_valid, _null_unless_valid(name)) for name in terms),
    )


def _null_unless_valid(name: str) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: frame[name].isna() | frame["valid"]


def _assignments() -> "DataFrameSchema":
    return _schema(
        {"prompt_id": _id(), "teacher": _text(), "scores": _scores(), "margin": _margin()},
        ["prompt_id"],
    )


def _margin() -> "Column":
    return _column("must be finite and 0 or more", lambda s: (s >= 0) & (s < float("inf")))


def _sft_dataset() -> "DataFrameSchema":
    prompt = "must be one user message with text, after at most one system message"
    completion = "must be one assistant message with text"
    return _schema(
        {
            "prompt": _column(prompt, _each(_is_prompt)),
            "completion": _column(completion, _each(_is_completion)),
            "teacher": _text(),
            "scores": _scores(),
            "reward": _share(),
            "prompt_id": _id(),
            "response_key": _id(),
            "part": _one_of("sft", "withheld"),
        },
        ["prompt_id"],
    )


def _each(holds: Callable[[list[dict[str, str]]], bool]) -> Callable[[Any], Any]:
    return lambda column: column.map(lambda m: None not in m and holds(m)).astype(bool)


def _is_prompt(messages: list[dict[str, str]]) -> bool:
    """A system message may be empty: that is how a template's own default is left out."""
    if len(messages) == 2 and messages[0]["role"] == "system":
        return messages[0]["content"] is not None and _says(messages[1:], "user")
    return _says(messages, "user")


def _is_completion(messages: list[dict[str, str]]) -> bool:
    return _says(messages, "assistant")


def _says(messages: list[dict[str, str]], role: str) -> bool:
    return [m["role"] for m in messages] == [role] and bool((messages[0]["content"] or "").strip())


def _allocations() -> "DataFrameSchema":
    choices = _column("must name one or more teachers", lambda s: s.list.len() >= 1)
    return _schema(
        {"strategy": _text(), "prompt_id": _id(), "choices": choices}, ["strategy", "prompt_id"]
    )


def _alpha_scores() -> "DataFrameSchema":
    columns = {"alpha": _share(), "prompt_id": _id(), "scores": _scores()}
    return _schema(columns, ["alpha", "prompt_id"])


def _router_scores() -> "DataFrameSchema":
    columns = {
        "kind": _text(),
        "size": _share(),
        "fitted_on": _count(),
        "fold": _count(),
        "prompt_id": _id(),
        "scores": _scores(),
    }
    return _schema(columns, ["kind", "size", "prompt_id"])


def _strategy_responses() -> "DataFrameSchema":
    columns = {"strategy": _text(), "rank": _count(), "quality": _share(), **_response_columns()}
    return _schema(columns, ["strategy", "prompt_id"], _failed_with_an_error())


def _strategy_tokens() -> "DataFrameSchema":
    counts = {name: _count() for name in schemas.STRATEGY_TOKENS.names[2:]}
    rule = "must be no less than calls"
    return _schema(
        {"strategy": _text(), "teacher": _text(), **counts},
        ["strategy", "teacher"],
        _between("whole_calls", rule, lambda f: f["whole_calls"] >= f["calls"]),
    )


def _strategy_examples() -> "DataFrameSchema":
    texts = {name: _text() for name in ("strategy", "teacher", "prompt", "response")}
    columns = {**texts, "prompt_id": _id(), "response_key": _id()}
    ordered = {name: columns[name] for name in schemas.STRATEGY_EXAMPLES.names}
    return _schema(ordered, ["strategy", "prompt_id"])


def _trials() -> "DataFrameSchema":
    columns = {
        "strategy": _text(),
        "seed": _any(),  # null: untrained
        "prompt_id": _id(),
        "response_key": _id(),
        "finish_reason": _one_of("stop", "length", "error"),
        "completion_tokens": _count(),
        "quality": _finite(null=True),
    }
    return _schema(columns, ["strategy", "seed", "prompt_id"])


def _preference_pairs() -> "DataFrameSchema":
    texts = {name: _text() for name in ("prompt", "chosen", "rejected")}
    columns = {"prompt_id": _id(), **texts, "part": _one_of("fit", "holdout")}
    return _schema(columns, ["prompt_id", "chosen", "rejected"])


COLUMNS: dict[str, pa.Schema] = {
    "prompts": schemas.PROMPTS,
    "splits": schemas.SPLITS,
    "calibration_set": schemas.CALIBRATION_SET,
    "responses": schemas.RESPONSES,
    "calls": schemas.CALLS,
    "token_statistics": schemas.TOKEN_STATISTICS,
    "quality": schemas.QUALITY,
    "rewards": schemas.REWARDS,
    "assignments": schemas.ASSIGNMENTS,
    "routed_responses": schemas.ROUTED_RESPONSES,
    "sft_dataset": schemas.SFT_DATASET,
    "allocations": schemas.ALLOCATIONS,
    "alpha_scores": schemas.ALPHA_SCORES,
    "router_scores": schemas.ROUTER_SCORES,
    "strategy_responses": schemas.STRATEGY_RESPONSES,
    "strategy_tokens": schemas.STRATEGY_TOKENS,
    "strategy_examples": schemas.STRATEGY_EXAMPLES,
    "trials": schemas.TRIALS,
    "preference_pairs": schemas.PREFERENCE_PAIRS,
    "test_set": schemas.PROMPTS,
}
_RULES: dict[str, Callable[[], "DataFrameSchema"]] = {
    "prompts": _prompts,
    "splits": _splits,
    "calibration_set": _calibration_set,
    "responses": _responses,
    "calls": _calls,
    "token_statistics": _token_statistics,
    "quality": _quality,
    "rewards": _rewards,
    "assignments": _assignments,
    "routed_responses": _routed_responses,
    "sft_dataset": _sft_dataset,
    "allocations": _allocations,
    "alpha_scores": _alpha_scores,
    "router_scores": _router_scores,
    "strategy_responses": _strategy_responses,
    "strategy_tokens": _strategy_tokens,
    "strategy_examples": _strategy_examples,
    "trials": _trials,
    "preference_pairs": _preference_pairs,
    "test_set": _prompts,
}
