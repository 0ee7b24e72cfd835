"""What the tables of the main path keep to beyond their columns' types."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from persyn_kedro.foundations.tables import rules as rule
from persyn_kedro.foundations.tables import schemas

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import Check, Column, DataFrameSchema

LOGP_ROUNDING = 1e-6  # nats; of log-likelihoods, which float32 may leave above 0
SUM_ROUNDING = 1e-3  # a token; of sums of float32 probabilities

_PLACES = ["calibration/fit", "calibration/holdout", "train/sft", "train/withheld", "test/"]


def prompts() -> "DataFrameSchema":
    """Return the rules of tables of prompts."""
    columns = {
        "prompt_id": rule.hex_id(),
        "prompt": rule.text(),
        "reference": rule.anything(),
        "source": rule.text(),
    }
    return rule.schema({**columns, "metadata": rule.anything()}, ["prompt_id"])


def _splits() -> "DataFrameSchema":
    return rule.schema(
        {
            "prompt_id": rule.hex_id(),
            "split": rule.one_of("calibration", "train", "test"),
            "part": rule.anything(),
        },
        ["prompt_id"],
        rule.between(
            "part",
            "must be fit or holdout in calibration, sft or withheld in train and null in test",
            lambda f: (f["split"] + "/" + f["part"].fillna("")).isin(_PLACES),
        ),
    )


def _calibration_set() -> "DataFrameSchema":
    return rule.schema({"prompt_id": rule.hex_id(), "prompt": rule.text()}, ["prompt_id"])


def _responses() -> "DataFrameSchema":
    return rule.schema(response_columns(), ["prompt_id", "teacher"], failed_with_an_error())


def _routed_responses() -> "DataFrameSchema":
    columns = {"rank": rule.count(), "quality": rule.share(), **response_columns()}
    return rule.schema(columns, ["prompt_id"], failed_with_an_error())


def response_columns() -> dict[str, Any]:
    """Return the rules of the columns that a response has, whoever asked for it."""
    return {
        "teacher": rule.text(),
        "response_key": rule.hex_id(),
        "weights_id": rule.text(),
        "recipe_id": rule.hex_id(),
        "prompt_id": rule.hex_id(),
        "sample_index": rule.count(),
        "response": rule.column(),  # may be empty
        "finish_reason": rule.one_of("stop", "length", "error"),
        "prompt_tokens": rule.count(),
        "completion_tokens": rule.count(),
        "error": rule.anything(),
        "engine": rule.anything(),  # null where the teacher was never asked
    }


def failed_with_an_error() -> "Check":
    """Return the rule that a failed response, and no other, says why."""
    return rule.between(
        "error",
        "must be set if and only if finish_reason is error",
        lambda f: f["error"].notna() == (f["finish_reason"] == "error"),
    )


def _calls() -> "DataFrameSchema":
    counts = ("responses", "calls", "prompt_tokens", "completion_tokens", "errors", "cost")
    return rule.schema(
        {"teacher": rule.text(), **{name: rule.count() for name in counts}},
        ["teacher"],
        rule.between(
            "calls", "must be no more than responses", lambda f: f["calls"] <= f["responses"]
        ),
        rule.between(
            "errors", "must be no more than responses", lambda f: f["errors"] <= f["responses"]
        ),
    )


def _plan() -> "DataFrameSchema":
    amounts = [field.name for field in schemas.PLAN if field.type == pa.float64()]
    return rule.schema(
        {
            "step": rule.text(),
            "teacher": rule.text(),
            **{name: rule.count() for name in amounts},
            "basis": rule.text(),
        },
        ["step", "teacher"],
        rule.between(
            "calls",
            "must be no more than responses",
            lambda f: f["calls"] <= f["responses"] + rule.ROUNDING,
        ),
        rule.between(
            "completion_tokens",
            "must be no more than most_completion_tokens",
            lambda f: f["completion_tokens"] <= f["most_completion_tokens"] + rule.ROUNDING,
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
    return rule.schema(
        {**_answer(), "tokens": rule.count(), **dict.fromkeys(sums, rule.anything())},
        ["prompt_id", "teacher"],
        *(
            rule.between(name, "must be null where logp is, and only there", _as_logp(name))
            for name in sums
        ),
        *(rule.between(name, says, _or_null(name, holds)) for name, (says, holds) in sums.items()),
    )


def _as_logp(name: str) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: frame[name].isna() == frame["logp"].isna()


def _or_null(name: str, holds: Callable[["pd.DataFrame"], Any]) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: holds(frame) | frame[name].isna()


def _answer(key_may_be_null: bool = False) -> dict[str, Any]:
    return {
        "prompt_id": rule.hex_id(),
        "teacher": rule.text(),
        "response_key": rule.hex_id(key_may_be_null),
    }


def _quality() -> "DataFrameSchema":
    return rule.schema({**_answer(), "quality": rule.finite(null=True)}, ["prompt_id", "teacher"])


def _rewards() -> "DataFrameSchema":
    terms = ("quality_normalised", "learnability_normalised")
    only_valid = "must be null where valid is false"
    return rule.schema(
        {
            **_answer(key_may_be_null=True),  # of a teacher that did not answer
            "quality": rule.column("must not be NaN", lambda s: s == s, null=True),
            "learnability": rule.column("must not be NaN", lambda s: s == s, null=True),
            **{name: rule.share() for name in (*terms, "reward")},
            "valid": rule.column(),
        },
        ["prompt_id", "teacher"],
        rule.between(
            "reward",
            "must be set if and only if valid is true",
            lambda f: f["reward"].notna() == f["valid"],
        ),
        *(rule.between(name, only_valid, _null_unless_valid(name)) for name in terms),
    )


def _null_unless_valid(name: str) -> Callable[["pd.DataFrame"], Any]:
    return lambda frame: frame[name].isna() | frame["valid"]


def _assignments() -> "DataFrameSchema":
    return rule.schema(
        {
            "prompt_id": rule.hex_id(),
            "teacher": rule.text(),
            "scores": rule.scores(),
            "margin": _margin(),
        },
        ["prompt_id"],
    )


def _margin() -> "Column":
    return rule.column("must be finite and 0 or more", lambda s: (s >= 0) & (s < float("inf")))


def _sft_dataset() -> "DataFrameSchema":
    prompt = "must be one user message with text, after at most one system message"
    completion = "must be one assistant message with text"
    return rule.schema(
        {
            "prompt": rule.column(prompt, _each(_is_prompt)),
            "completion": rule.column(completion, _each(_is_completion)),
            "teacher": rule.text(),
            "scores": rule.scores(),
            "reward": rule.share(),
            "prompt_id": rule.hex_id(),
            "response_key": rule.hex_id(),
            "part": rule.one_of("sft", "withheld"),
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


TABLES: dict[str, tuple[pa.Schema, Callable[[], "DataFrameSchema"]]] = {
    "prompts": (schemas.PROMPTS, prompts),
    "splits": (schemas.SPLITS, _splits),
    "calibration_set": (schemas.CALIBRATION_SET, _calibration_set),
    "responses": (schemas.RESPONSES, _responses),
    "calls": (schemas.CALLS, _calls),
    "plan": (schemas.PLAN, _plan),
    "token_statistics": (schemas.TOKEN_STATISTICS, _token_statistics),
    "quality": (schemas.QUALITY, _quality),
    "rewards": (schemas.REWARDS, _rewards),
    "assignments": (schemas.ASSIGNMENTS, _assignments),
    "routed_responses": (schemas.ROUTED_RESPONSES, _routed_responses),
    "sft_dataset": (schemas.SFT_DATASET, _sft_dataset),
}
