"""Where the router does not choose the strongest teacher: how often, who is right, and samples.

Where both answered a calibration prompt, their true rewards are known: everywhere, unless
``label.design`` asks only some teachers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.domain.comparison.strategies.merits import mean_quality
from persyn_kedro.domain.comparison.strategies.rules import by_merit
from persyn_kedro.domain.prompts.select import ANSWERED, find_rows, select_ids
from persyn_kedro.domain.rewards.reward import TIE
from persyn_kedro.foundations.tables.references import spoken

VERSION = 1  # raise it when the same inputs give another result

SAMPLES = 4  # of each outcome
_PARTS = {"holdout": "not seen in training", "fit": "seen in training"}
_ANSWER = ("prompt_id", "teacher")
_SHOWN = ("quality", "learnability", "quality_normalised", "learnability_normalised", "reward")

Row = Mapping[str, Any]


def compare_choices(
    assignments: pa.Table, rewards: pa.Table, prompts: pads.Dataset, teachers: Sequence[str]
) -> dict[str, Any]:
    """Return how the router's choices compare with always asking the strongest teacher.

    The strongest teacher has the highest mean quality on the calibration set (METHOD.md, Strong).
    ``holdout`` are the calibration prompts that the router was not fitted on.

    Args:
        assignments: ``schemas.ASSIGNMENTS``.
        rewards: ``schemas.REWARDS``.
        prompts: ``schemas.PROMPTS``.
        teachers: the pool in the settings' order.

    Returns:
        ``strongest`` (a teacher, None if no quality is known), ``prompts`` (calibration and train),
        ``elsewhere`` (those sent to another teacher), ``parts`` (by part: n, same, better, worse,
        equal and gain) and ``samples`` (prompt ids). The gain is the mean of the router's reward
        minus the strongest's; an invalid answer has 0. The samples are the first ``SAMPLES`` better
        and worse ones by part (unseen prompts first) and then by prompt id, a hash: drawn at
        random, not hand-picked.
    """
    quality = mean_quality(rewards, teachers)
    chosen = {r["prompt_id"]: r["teacher"] for r in _rows(assignments, "prompt_id", "teacher")}
    asked = select_ids(prompts, ANSWERED).to_pydict()
    part_of = dict(zip(asked["prompt_id"], asked["part"], strict=True))
    routed = [prompt_id for prompt_id in part_of if prompt_id in chosen]
    strongest = by_merit(quality, teachers)[0] if quality else None
    reward = {
        (r["prompt_id"], r["teacher"]): r["reward"] if r["valid"] else 0.0
        for r in _rows(rewards, "prompt_id", "teacher", "reward", "valid")
    }
    known = sorted(  # of an incomplete design, where both were asked
        p for p in routed if strongest and (p, strongest) in reward and (p, chosen[p]) in reward
    )
    gain = {p: reward[p, chosen[p]] - reward[p, strongest] for p in known}
    other = {p for p in routed if chosen[p] != strongest}
    return {
        "strongest": strongest,
        "prompts": len(routed),
        "elsewhere": len(other) if strongest else 0,
        "parts": [
            {"part": part, **_counts([p for p in known if part_of[p] == part], gain, other)}
            for part in _PARTS
        ],
        "samples": _drawn([p for p in known if p in other], gain, part_of),
    }


def _counts(prompt_ids: Sequence[str], gain: Mapping[str, float], other: set[str]) -> Row:
    differ = [p for p in prompt_ids if p in other]
    better = sum(gain[p] > TIE for p in differ)
    worse = sum(gain[p] < -TIE for p in differ)
    return {
        "n": len(prompt_ids),
        "same": len(prompt_ids) - len(differ),
        "better": better,
        "worse": worse,
        "equal": len(differ) - better - worse,
        "gain": sum(gain[p] for p in prompt_ids) / len(prompt_ids) if prompt_ids else None,
    }


def _drawn(
    prompt_ids: Iterable[str], gain: Mapping[str, float], part_of: Mapping[str, str]
) -> list[dict[str, Any]]:
    order = sorted(prompt_ids, key=lambda p: (list(_PARTS).index(part_of[p]), p))
    better = [p for p in order if gain[p] > TIE][:SAMPLES]
    worse = [p for p in order if gain[p] < -TIE][:SAMPLES]
    return [
        {"prompt_id": p, "router_is": outcome, "part": part_of[p], "gain": gain[p]}
        for outcome, own in (("better", better), ("worse", worse))
        for p in own
    ]


def with_answers(
    comparison: Mapping[str, Any],
    assignments: pads.Dataset,
    rewards: pads.Dataset,
    prompts: pads.Dataset,
    calibration_responses: pads.Dataset,
) -> dict[str, Any]:
    """Return the comparison with each sample's prompt, and both sides' answers and rewards.

    Only the samples' rows are read: all answers may not fit into memory.
    """
    ids = pa.array([sample["prompt_id"] for sample in comparison["samples"]], pa.string())
    own = pads.field("prompt_id").isin(ids)
    texts = find_rows(prompts, ids)
    chosen = {r["prompt_id"]: r["teacher"] for r in assignments.to_table(filter=own).to_pylist()}
    worth = _by(_ANSWER, rewards.to_table(filter=own))
    answers = _by((*_ANSWER, "response_key"), calibration_responses.to_table(filter=own))

    def side(prompt_id: str, teacher: str) -> Row:
        row = worth[prompt_id, teacher]
        answer = answers.get((prompt_id, teacher, row["response_key"]), {})  # the best
        return {
            "teacher": teacher,
            "response": answer.get("response"),
            "finish_reason": answer.get("finish_reason"),
            "error": answer.get("error"),
            **{name: row[name] for name in _SHOWN},
        }

    samples = [
        {
            **sample,
            **{name: texts[sample["prompt_id"]][name] for name in ("prompt", "source")},
            "reference": spoken(texts[sample["prompt_id"]]),
            "router": side(sample["prompt_id"], chosen[sample["prompt_id"]]),
            "strongest": side(sample["prompt_id"], comparison["strongest"]),
        }
        for sample in comparison["samples"]
    ]
    return {**comparison, "samples": samples}


def _by(names: Sequence[str], table: pa.Table) -> dict[tuple[str, ...], Row]:
    return {tuple(row[name] for name in names): row for row in table.to_pylist()}


def _rows(table: pa.Table, *columns: str) -> list[dict[str, Any]]:
    return table.select(list(columns)).to_pylist()
