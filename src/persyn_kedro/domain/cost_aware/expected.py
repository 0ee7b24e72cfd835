"""What an answer is expected to cost, from the calibration answers (METHOD.md, section 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from persyn_kedro.domain.teachers.import_answers import IMPORTED
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.prices import prices_of
from persyn_kedro.foundations.settings.route import CostUnit
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables.rows import BLOCK, read_blocks

VERSION = 1  # raise it when the same inputs give another result

RESPONSE = [
    "prompt_id", "teacher", "response", "engine", "error",
    "prompt_tokens", "completion_tokens", "cached_prompt_tokens",
]  # fmt: skip
PRICES = ("completion_price", "prompt_price")
BYTES_A_TOKEN = 4  # approximate, where no tokens were counted
TEMPLATE = 16  # likewise, tokens that a chat template adds


@dataclass(frozen=True)
class CostModel:
    """Expected tokens and cost of each teacher's answer to a prompt of a given length.

    ``teachers``: in the pool's order, ``{"answers", "completion": [intercept, slope, low, high],
    "prompt": [intercept, slope], "cached"}``, and if ``priced`` ``completion_price`` and
    ``prompt_price``, per token. Completion tokens are linear in the logarithm of the prompt's
    bytes, prompt tokens in the bytes; ``cached`` is the share of those read from a cache.
    """

    teachers: Mapping[str, Mapping[str, Any]]

    def completion(self, sizes: np.ndarray) -> np.ndarray:
        """Return (n, K) expected completion tokens of prompts of (n,) bytes."""
        logs = np.log(np.maximum(sizes, 1)).astype(np.float64)
        lines = [one["completion"] for one in self.teachers.values()]
        return np.stack([np.clip(a + b * logs, low, high) for a, b, low, high in lines], axis=1)

    def prompt(self, sizes: np.ndarray) -> np.ndarray:
        """Return (n, K) expected prompt tokens, with the teacher's system message and template."""
        lines = [one["prompt"] for one in self.teachers.values()]
        return np.stack([np.maximum(a + b * np.asarray(sizes), 1.0) for a, b in lines], axis=1)

    def priced(self, teachers: Teachers, models: Models) -> "CostModel":
        """Return it with the teachers' prices, as their calls are made."""
        found, prices = {}, prices_of(teachers, models)
        for name, one in self.teachers.items():
            costs = (prices[name].cost(0, 1), prices[name].cost(1, 0, one["cached"]))
            found[name] = {**one, **dict(zip(PRICES, costs, strict=True))}
        return CostModel(found)

    def cost(self, sizes: np.ndarray, unit: CostUnit) -> np.ndarray:
        """Return (n, K) float32: expected tokens of prompt and answer, or what they cost."""
        weights = np.ones((2, len(self.teachers)))
        if unit == "money":
            weights = np.array([[one[n] for one in self.teachers.values()] for n in PRICES])
        found = np.empty((len(sizes), len(self.teachers)), np.float32)
        for start in range(0, len(sizes), BLOCK):
            own = sizes[start : start + BLOCK]
            both = weights[0] * self.completion(own) + weights[1] * self.prompt(own)
            found[start : start + BLOCK] = both
        return found


def prompt_bytes(prompts: pads.Dataset) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Return the ids of a table's prompts, and the (n,) int32 UTF-8 bytes of each."""
    ids, sizes = [], [np.empty(0, np.int32)]
    for block in read_blocks(prompts, ["prompt_id", "prompt"]):
        ids.append(block["prompt_id"])
        sizes.append(pc.binary_length(block["prompt"]).to_numpy(zero_copy_only=False))
    return pa.chunked_array(ids, pa.string()), np.concatenate(sizes)


def fit_cost_model(responses: pa.Table, sizes: Mapping[str, int], teachers: Teachers) -> CostModel:
    """Return the cost model of a pool, from its answers to the calibration prompts.

    Args:
        responses: ``schemas.RESPONSES``; failed ones are left out.
        sizes: bytes of the prompts by prompt_id.
    """
    usable = responses.select(RESPONSE).filter(pc.is_null(responses["error"])).to_pylist()
    found = {}
    for name, teacher in teachers.root.items():
        rows = [_counted(row, sizes) for row in usable if row["teacher"] == name]
        most = teacher.sampling.max_new_tokens
        prompt = sum(row["prompt"] for row in rows)
        cached = sum(row["cached"] for row in rows) / prompt if prompt else 0.0
        found[name] = {"answers": len(rows), **_lines(rows, most), "cached": cached}
    return CostModel(found)


def pool_costs(responses: pa.Table, prompts: pads.Dataset, teachers: Teachers) -> CostModel:
    """As ``fit_cost_model``, with the sizes of the prompts among ``prompts`` that were answered."""
    ids, sizes = prompt_bytes(prompts)
    own = pc.is_in(ids, value_set=pc.unique(responses["prompt_id"]))
    known = dict(zip(ids.filter(own).to_pylist(), sizes[own.to_numpy()].tolist(), strict=True))
    return fit_cost_model(responses, known, teachers)


def used_tokens(
    responses: pa.Table, sizes: Mapping[str, int], costs: CostModel
) -> dict[str, np.ndarray]:
    """Return what the answers to these prompts took: (n, K) each of tokens and their cost.

    Of several answers the mean, of failed ones what is expected.

    Args:
        responses: ``schemas.RESPONSES``.
        sizes: bytes of the n prompts by prompt_id, in the order of the result.
    """
    lines = {prompt_id: i for i, prompt_id in enumerate(sizes)}
    columns = {name: k for k, name in enumerate(costs.teachers)}
    sums = np.zeros((3, len(lines), len(columns)))
    for row in responses.select(RESPONSE).filter(pc.is_null(responses["error"])).to_pylist():
        if row["prompt_id"] in lines and row["teacher"] in columns:
            counted = _counted(row, sizes)
            place = (slice(None), lines[row["prompt_id"]], columns[row["teacher"]])
            sums[place] += (counted["prompt"], counted["completion"], 1)
    every = np.array(list(sizes.values()))
    known = [costs.prompt(every), costs.completion(every)]
    prompt, completion = (
        np.where(sums[2] > 0, total / np.maximum(sums[2], 1), expected)
        for total, expected in zip(sums, known, strict=False)
    )
    prices = [np.array([one[name] for one in costs.teachers.values()]) for name in PRICES]
    return {
        "tokens": prompt + completion,
        "completion_tokens": completion,
        "cost": completion * prices[0] + prompt * prices[1],
    }


def _counted(row: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, float]:
    """Return a response's tokens; those of an imported one that come without, by its bytes."""
    size = sizes[row["prompt_id"]]
    if row["engine"] == IMPORTED and not row["completion_tokens"]:
        answer = len(row["response"].encode()) / BYTES_A_TOKEN
        prompt = size / BYTES_A_TOKEN + TEMPLATE
        return {"size": size, "prompt": prompt, "completion": answer, "cached": 0}
    return {
        "size": size,
        "prompt": row["prompt_tokens"],
        "completion": row["completion_tokens"],
        "cached": row["cached_prompt_tokens"] or 0,
    }


def _lines(rows: Sequence[Mapping[str, float]], most: int | None) -> dict[str, list[float]]:
    if not rows:  # no answer is known: as ``plan`` does, the most that the settings allow
        longest = float(most or 1024)
        return {
            "completion": [longest, 0.0, longest, longest],
            "prompt": [float(TEMPLATE), 1 / BYTES_A_TOKEN],
        }
    size, prompt, completion = (
        np.array([row[name] for row in rows], np.float64)
        for name in ("size", "prompt", "completion")
    )
    ends = [float(completion.min()), float(completion.max())]
    return {
        "completion": [*shrunk_line(np.log(np.maximum(size, 1)), completion), *ends],
        "prompt": shrunk_line(size, prompt),
    }


def shrunk_line(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return intercept and slope of the least squares line of (n,) values.

    The slope is shrunk by the positive-part James-Stein factor max(0, 1 - 1/t^2), t the slope over
    its standard error: a slope that may be chance counts little, and the line still goes through
    the means, so that the sum over all prompts is kept.
    """
    across = x - x.mean()
    squares = across @ across
    if len(x) < 3 or np.ptp(y) == 0 or squares <= 1e-12 * max(1.0, float(x @ x)):
        return [float(y.mean()), 0.0]
    slope = float(across @ y / squares)
    rest = y - y.mean() - slope * across
    variance = float(rest @ rest) / (len(x) - 2) / squares
    slope *= max(0.0, 1 - variance / slope**2) if slope else 0.0
    return [float(y.mean() - slope * x.mean()), slope]


def reward_scale(scores: np.ndarray, rewards: np.ndarray) -> float:
    """Return the slope of the reward on the score, both about their means within each prompt.

    With it, differences of scores of any kind of router become expected differences of rewards.

    Args:
        scores: (n, K) of prompts that the router was not fitted on.
        rewards: (n, K) float64, NaN if invalid, which counts as 0 as in the metrics.
    """
    kept = np.isfinite(rewards).sum(axis=1) >= 2
    about = [a[kept].astype(np.float64) for a in (scores, np.nan_to_num(rewards, nan=0.0))]
    x, y = (a - a.mean(axis=1, keepdims=True) for a in about)
    squares = float((x * x).sum())
    return float((x * y).sum()) / squares if squares else 0.0
