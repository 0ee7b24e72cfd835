"""Choose the kinds of prompts of setting (b) by docs/experiment_plan.md's rule, from its pilot.

    kedro fetch-models --env=experiment_pilot
    kedro run --env=experiment_pilot --pipelines=prepare,label
    .venv/bin/python benchmarks/pilot.py data/experiment_pilot --to=docs/data/pilot/answers.parquet
    .venv/bin/python benchmarks/pilot.py docs/data/pilot/answers.parquet

A kind is taken if at least two teachers are right on 15 to 90 % of its prompts, the best two differ
by at most 40 points, the untrained student is right on less than 60 %, and no answer is the right
one of a quarter or more of its prompts; of more than four, the four on which always taking the best
answer gains the most reward over the kind's best teacher. The second pilot is `experiment_pilot_2`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from zoo_table import newest

STUDENT, KINDS = "smollm2", 4  # the teacher that is the untrained student
LOWEST, HIGHEST, APART, STUDENT_BELOW = 0.15, 0.9, 0.4, 0.6
SAME_BELOW = 0.25  # since the second pilot


@dataclass(frozen=True)
class Kind:
    """What the pilot found of a kind of prompts.

    Attributes:
        right: each teacher's share of right answers; an answer that is cut off is wrong.
        gain: mean reward of each prompt's best answer, less that of the kind's best teacher.
        same: the commonest right answer's share of the prompts.
    """

    name: str
    right: dict[str, float]
    gain: float
    same: float

    @property
    def fits(self) -> bool:
        """Whether the teachers differ, none is far ahead, and the student has room."""
        shares = sorted(self.right.values())
        between = [LOWEST <= share <= HIGHEST for share in shares]
        return (
            sum(between) >= 2
            and shares[-1] - shares[-2] <= APART + 1e-9
            and self.right[STUDENT] < STUDENT_BELOW
            and self.same < SAME_BELOW
        )


def kinds_of(table: pd.DataFrame) -> list[Kind]:
    """Return the kinds of a table with the columns that ``table_of`` returns."""
    found = []
    for name, own in table.groupby("source"):
        own = own.assign(
            quality=own.quality.where(own.valid, 0).fillna(0),
            reward=own.reward.where(own.valid, 0).fillna(0),
        )
        wide = own.pivot(index="prompt_id", columns="teacher", values="reward").to_numpy()
        gain = float(np.mean(wide.max(axis=1)) - wide.mean(axis=0).max())
        right = own.groupby("teacher", sort=False).quality.mean()
        references = own.groupby("prompt_id").reference.first()
        same = float(references.value_counts(normalize=True).max()) if references.any() else 0.0
        found.append(Kind(str(name), {str(t): float(v) for t, v in right.items()}, gain, same))
    return found


def taken(kinds: Sequence[Kind]) -> list[str]:
    """Return the names of the kinds that the rule takes, the largest gain first."""
    fitting = sorted((kind for kind in kinds if kind.fits), key=lambda kind: -kind.gain)
    return [kind.name for kind in fitting[:KINDS]]


def table_of(data: Path) -> pa.Table:
    """Return the pilot's answers without their texts: those of a data directory, or of a file."""
    if data.is_file():
        return pq.read_table(data)
    names = ["prompt_id", "teacher", "quality", "reward", "valid"]
    rewards = newest(data, "rewards").select(names)
    answers = newest(data, "calibration_responses")
    answers = answers.select(["prompt_id", "teacher", "finish_reason", "completion_tokens"])
    sources = newest(data, "prompts").select(["prompt_id", "source", "reference"])
    joined = rewards.join(answers, ["prompt_id", "teacher"]).join(sources, "prompt_id")
    rank = [(name, "ascending") for name in ("source", "prompt_id", "teacher")]
    return joined.sort_by(rank).replace_schema_metadata(None)


def markdown(kinds: Sequence[Kind], teachers: Sequence[str]) -> str:
    """Return the table of the page."""
    head = ["kind", *teachers, "gain", "same answer", "fits"]
    rows = [
        [
            kind.name,
            *(f"{100 * kind.right[teacher]:.0f} %" for teacher in teachers),
            f"{kind.gain:.3f}",
            f"{100 * kind.same:.0f} %",
            "yes" if kind.fits else "no",
        ]
        for kind in kinds
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print the table and the choice; write the answers' table, if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "data", type=Path, help="the pilot's data directory, or its published table"
    )
    parser.add_argument("--to", type=Path, help="write the table that is published")
    arguments = parser.parse_args()
    table = table_of(arguments.data)
    if arguments.to:
        arguments.to.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, arguments.to, compression="zstd")
    kinds = kinds_of(table.to_pandas())
    print(markdown(kinds, list(kinds[0].right)))
    print(f"Taken: {', '.join(taken(kinds)) or 'none'}")


if __name__ == "__main__":
    main()
