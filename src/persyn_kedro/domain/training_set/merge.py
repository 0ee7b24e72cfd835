"""The merged training set, in the conversational format of TRL and other trainers."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.prompts.select import places_of
from persyn_kedro.foundations.models.rendering import visible_text
from persyn_kedro.foundations.prompts.conversation import Message, with_system
from persyn_kedro.foundations.settings.models import Think
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.memory import give_back
from persyn_kedro.foundations.tables.messages import PROMPT, message_lists, prompts_of
from persyn_kedro.foundations.tables.rows import BLOCK, TableRows

VERSION = 1  # raise it when the same inputs give another result


def build_sft_dataset(
    routed: pads.Dataset,
    prompts: pads.Dataset,
    chosen: pa.Table,
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    thinks: Mapping[str, Think],
    system: str | None,
    allow_truncated: bool,
    unsolved: Collection[str] = frozenset(),
) -> pa.RecordBatchReader:
    """Return ``schemas.SFT_DATASET``, streamed in the order of ``prompts``.

    Excludes errors, empty responses, truncated ones unless allowed, and ``unsolved`` prompts.

    Args:
        routed: rows of ``schemas.ROUTED_RESPONSES``, in any order; streamed if sorted by teacher
            and then in the order of the prompts. Of a prompt's several answers each is an example.
        chosen: which of ``prompts`` to use, as returned by ``prompts.select_ids``.
        rewards: rows of ``schemas.REWARDS``, known for calibration prompts.
        thinks: each teacher's ``think`` setting.
        system: the student's own system prompt.
    """
    answers = routed.to_table(columns=["prompt_id", "teacher"])
    left_out = pc.is_in(chosen["prompt_id"], value_set=pa.array(unsolved, pa.string()))
    chosen = chosen.filter(pc.invert(left_out))
    place = pc.index_in(answers["prompt_id"], value_set=chosen["prompt_id"])
    answer = np.flatnonzero(pc.is_valid(place))
    place = pc.drop_null(place).to_numpy()
    order = np.argsort(place, kind="stable")  # a prompt's answers stay in their order
    chosen = chosen.take(pa.array(place[order])).append_column("answer", pa.array(answer[order]))
    ids, teachers = chosen["prompt_id"], answers["teacher"].take(chosen["answer"])
    chosen = chosen.append_column("reward", _rewards_of(ids, teachers, rewards))
    scored = assignments.to_table(columns=["prompt_id"])["prompt_id"]
    chosen = chosen.append_column("assignment", pa.array(places_of(ids, scored)))
    give_back()  # memory of the tables it was built from
    sources = (
        TableRows(prompts, [*PROMPT, "kept"]),
        TableRows(routed, ["teacher", "response", "finish_reason", "response_key"]),
        TableRows(assignments, ["scores"]),
    )
    batches = (
        _examples(chosen.slice(start, BLOCK), *sources, thinks, system, allow_truncated)
        for start in range(0, len(chosen), BLOCK)
    )
    return pa.RecordBatchReader.from_batches(schemas.SFT_DATASET, batches)


def trainable_text(row: Mapping[str, Any], think: Think, allow_truncated: bool) -> str | None:
    """Return the text of a response to train on; None if it is unusable."""
    if not is_trainable(row, allow_truncated):
        return None
    text = visible_text(row["response"], think)
    return text if text.strip() else None


def is_trainable(row: Mapping[str, Any], allow_truncated: bool) -> bool:
    """Return whether a response ended by itself, or was truncated if that is allowed."""
    return row["finish_reason"] == "stop" or (allow_truncated and row["finish_reason"] == "length")


def _rewards_of(
    prompt_ids: pa.ChunkedArray, teachers: pa.ChunkedArray, rewards: pads.Dataset
) -> pa.Array:
    """Return the reward of each prompt's teacher, (n,) float64, null if unknown.

    A prompt that repeats is in one run, with one teacher.
    """
    values, known = np.zeros(len(prompt_ids)), np.zeros(len(prompt_ids), dtype=bool)
    table = rewards.to_table(columns=["prompt_id", "teacher", "reward"])
    scored = np.flatnonzero(pc.is_in(prompt_ids, value_set=pc.unique(table["prompt_id"])))
    rows = pa.array(scored)  # only few prompts have rewards
    places = pc.index_in(table["prompt_id"], value_set=prompt_ids.take(rows))
    own = pc.equal(table["teacher"], teachers.take(rows).take(places))
    own = pc.fill_null(pc.and_(own, pc.is_valid(table["reward"])), False)
    places = scored[places.filter(own).to_numpy()]
    values[places], known[places] = table["reward"].filter(own).to_numpy(), True
    begins = np.ones(len(prompt_ids), dtype=bool)
    begins[1:] = pc.not_equal(prompt_ids.slice(1), prompt_ids.slice(0, len(begins) - 1))
    first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    return pa.array(values[first], mask=~known[first])


def _examples(
    chosen: pa.Table,
    prompts: TableRows,
    routed: TableRows,
    assignments: TableRows,
    thinks: Mapping[str, Think],
    system: str | None,
    allow_truncated: bool,
) -> pa.RecordBatch:
    """Return the examples of some of the prompts."""
    answers = routed.take(chosen["answer"].to_numpy())
    rows = answers.select(["teacher", "response", "finish_reason"]).to_pylist()
    texts = [trainable_text(row, thinks[row["teacher"]], allow_truncated) for row in rows]
    usable = pa.array([text is not None for text in texts], pa.bool_())
    chosen, answers = chosen.filter(usable), answers.filter(usable)
    asked = prompts.take(chosen["row"].to_numpy())
    chats = [with_system(prompt, system, "row_first") for prompt in prompts_of(asked)]
    # Calibration prompts are trained on too; only withheld prompts are left out.
    withheld = pc.fill_null(pc.equal(chosen["part"], "withheld"), False)
    columns = {
        "prompt": message_lists(chats),
        "completion": message_lists([[Message("assistant", t)] for t in texts if t is not None]),
        "teacher": answers["teacher"],
        "scores": assignments.take(chosen["assignment"].to_numpy())["scores"],
        "reward": chosen["reward"],
        "prompt_id": chosen["prompt_id"],
        "response_key": answers["response_key"],
        "part": pc.if_else(withheld, "withheld", "sft"),
        "kept": asked["kept"],
    }
    table = pa.table(columns, schema=schemas.SFT_DATASET).combine_chunks()
    return pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())
