"""A teacher's several answers to a prompt, and the terms that they come to (METHOD.md, 1)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.learnability.signals import learnability, signal_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings

Row = Mapping[str, Any]
Place = tuple[int, int, int]  # prompt, teacher, sample


@dataclass(frozen=True)
class Samples:
    """The answers of K teachers to n prompts, up to S each.

    Attributes:
        prompt_ids: (n,) sorted.
        rows: the answers by place in the arrays.
        quality: (n, K, S) float64, NaN where it is unknown or there is no answer.
        learnability: (n, K, S) likewise, in the signal's unit.
        valid: (n, K, S) bool, as METHOD.md says.
    """

    prompt_ids: Sequence[str]
    rows: Mapping[Place, Row]
    quality: np.ndarray
    learnability: np.ndarray
    valid: np.ndarray

    def best(self) -> np.ndarray:
        """Return (n, K) int: each teacher's best answer.

        It is the valid one of the highest quality; of equal ones that of the highest learnability,
        then the first. Unknown terms are the lowest.
        """
        there = np.zeros_like(self.valid)
        for place in self.rows:
            there[place] = True
        quality, learnable = (
            np.where(np.isnan(term), -np.inf, term) for term in (self.quality, self.learnability)
        )
        earlier = np.broadcast_to(-np.arange(there.shape[-1]), there.shape)
        order = np.lexsort((earlier, learnable, quality, there, self.valid), axis=-1)
        return order[..., -1]

    def terms(self, how: Literal["mean", "best"]) -> Iterator[np.ndarray]:
        """Yield quality and learnability, (n, K) float64, NaN where unknown.

        They are the means over a teacher's valid answers (where none is, over all), or the terms
        of its best answer.
        """
        some = self.valid.any(axis=-1, keepdims=True)
        for term in (self.quality, self.learnability):
            if how == "best":
                yield np.take_along_axis(term, self.best()[..., None], axis=-1)[..., 0]
                continue
            counted = (self.valid | ~some) & ~np.isnan(term)
            sums, counts = np.where(counted, term, 0.0).sum(axis=-1), counted.sum(axis=-1)
            yield np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def read_samples(
    responses: pa.Table,
    statistics: pa.Table,
    quality: pa.Table,
    teachers: Sequence[str],
    settings: LabelSettings,
) -> Samples:
    """Return the answers with their terms.

    Quality and statistics are looked up by response key. Teachers not in ``teachers`` are ignored.

    Raises:
        PersynError: a teacher has two responses for one sample, or the signal failed.
    """
    read = signal_of(settings.learnability).reads
    prompt_ids = sorted(set(responses.column("prompt_id").to_pylist()))
    rows = _rows_by_place(responses, prompt_ids, teachers)
    statistic_of = {row["response_key"]: row for row in _rows(statistics, *read)}
    own = {row["response_key"]: statistic_of.get(row["response_key"]) for row in rows.values()}
    learnable = learnability([row for row in own.values() if row is not None], settings)
    quality_of = {row["response_key"]: row["quality"] for row in _rows(quality, "quality")}
    shape = (len(prompt_ids), len(teachers), 1 + max((sample for _, _, sample in rows), default=0))
    q, l = np.full(shape, np.nan), np.full(shape, np.nan)  # noqa: E741
    valid = np.zeros(shape, dtype=bool)
    for place, row in rows.items():
        statistic, known = (
            statistic_of.get(row["response_key"]),
            quality_of.get(row["response_key"]),
        )
        q[place] = np.nan if known is None else known
        l[place] = learnable.get(row["response_key"], np.nan)
        valid[place] = usable(row, statistic, settings)
    for term, weight in ((q, 1 - settings.alpha), (l, settings.alpha)):
        valid &= np.isfinite(term) | (weight == 0)
    return Samples(prompt_ids, rows, q, l, valid)


def best_samples(
    rewards: pads.Dataset, prompt_ids: pa.Array | pa.ChunkedArray, teachers: Sequence[str]
) -> np.ndarray:
    """Return (n, K) int16: the sample that labelling found best, 0 for prompts not labelled.

    Args:
        rewards: ``schemas.REWARDS``.
        prompt_ids: (n,) of any prompts.
    """
    best = np.zeros((len(prompt_ids), len(teachers)), np.int16)
    table = rewards.to_table(columns=["prompt_id", "teacher", "sample_index"])
    lines = pc.index_in(table["prompt_id"], value_set=prompt_ids)
    columns = pc.index_in(table["teacher"], value_set=pa.array(teachers, pa.string()))
    known = pc.and_(pc.is_valid(lines), pc.is_valid(columns))
    places = tuple(each.filter(known).to_numpy() for each in (lines, columns))
    best[places] = pc.fill_null(table["sample_index"], 0).filter(known).to_numpy()
    return best


def _rows(table: pa.Table, *columns: str) -> list[dict[str, Any]]:
    return table.select(["response_key", *columns]).to_pylist()


def _rows_by_place(
    responses: pa.Table, prompt_ids: Sequence[str], teachers: Sequence[str]
) -> dict[Place, Row]:
    line = {prompt_id: i for i, prompt_id in enumerate(prompt_ids)}
    column = {teacher: k for k, teacher in enumerate(teachers)}
    names = ["prompt_id", "teacher", "sample_index", "response_key", "response", "finish_reason"]
    found: dict[Place, Row] = {}
    for row in responses.select(names).to_pylist():
        if row["teacher"] not in column:
            continue
        place = (line[row["prompt_id"]], column[row["teacher"]], row["sample_index"])
        if place in found:
            sample = f" (sample {place[2]})" if place[2] else ""
            raise PersynError(
                f"Teacher {row['teacher']!r} has two responses to prompt {row['prompt_id']}"
                f"{sample}."
            )
        found[place] = row
    return found


def usable(row: Row, statistic: Row | None, settings: LabelSettings) -> bool:
    """Return whether a response is usable: not failed or empty, nor truncated unless allowed."""
    if not row["response"] or row["finish_reason"] == "error":
        return False
    if statistic is not None and not statistic["tokens"]:
        return False  # nothing is left after stripping the thinking
    return row["finish_reason"] != "length" or settings.allow_truncated
