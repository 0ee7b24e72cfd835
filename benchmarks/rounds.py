"""Two rounds of training against one, on the same prompts and with the same training.

    .venv/bin/python benchmarks/rounds.py --seeds 7 8 9     # the zoo, conf/experiment
    .venv/bin/python benchmarks/rounds.py --env smoke       # tiny random models: only that it runs

One round trains on the calibration prompts and all train prompts. Two rounds train on the same
prompts, half of the train prompts in each; the second half is routed for the student as the first
round left it. Each prompt is answered by one teacher and seen ``sft.epochs`` times in both. A seed
splits the prompts anew, so each is run with both.
"""

import tempfile
from pathlib import Path
from typing import Any

import measuring
import pyarrow.parquet as pq
from project_copy import copy_project, kedro

from persyn_kedro.domain.intervals import mean_t
from persyn_kedro.domain.student import accuracy_summary

CONFIDENCE = 0.95


class Data:
    """The newest tables of a project's environment."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def rows(self, name: str, number: int = 1) -> list[dict[str, Any]]:
        """Return a table's rows, of the first round or of round ``number``."""
        base = self.root / "rounds" / str(number) if number > 1 else self.root
        (newest,) = sorted(base.glob(f"0*/{name}.parquet/2*"))[-1:]
        return pq.read_table(newest / f"{name}.parquet").to_pylist()

    def training(self, number: int = 1) -> tuple[int, int]:
        """Return how many examples were trained on, and their answers' tokens."""
        tokens = {r["response_key"]: r for r in self.rows("routed_responses", number)}
        keys = [r["response_key"] for r in self.rows("sft_dataset", number) if r["part"] == "sft"]
        return len(keys), sum(tokens[key]["completion_tokens"] for key in keys)

    def quality(self, number: int = 1) -> dict[str, float | None]:
        """Return the student's test quality by prompt, after round ``number``."""
        return {r["prompt_id"]: r["quality"] for r in self.rows("test_quality_after", number)}


def arms_of(seed: int, env: str, data: Data, project: Path) -> list[dict[str, Any]]:
    """Return a row for one round, one for two rounds, with the paired difference."""

    def run(count: int, *more: str) -> None:
        kedro(project, "run", f"--env={env}", *more, f"--params=seed={seed},rounds.count={count}")

    run(1)
    one, (rows, tokens) = data.quality(), data.training()
    found: list[dict[str, Any]] = [
        {"seed": seed, "rounds": 1, "examples": rows, "answer tokens": tokens}
    ]
    run(2)
    run(2, "--pipelines=next_round")
    two, halves = data.quality(2), [data.training(), data.training(2)]
    rows, tokens = (sum(half[place] for half in halves) for place in (0, 1))
    found.append({"seed": seed, "rounds": 2, "examples": rows, "answer tokens": tokens})
    ids = [prompt_id for prompt_id in one if prompt_id in two]
    summary = accuracy_summary([one[i] for i in ids], [two[i] for i in ids], CONFIDENCE)
    found[0] |= {"test prompts": summary["n"], "accuracy": summary["before"]}
    low, high = summary["difference_interval"] or (None, None)
    found[1] |= {
        "test prompts": summary["n"],
        "accuracy": summary["after"],
        "difference": summary["difference"],
        "low": low,
        "high": high,
    }
    return found


def main() -> None:
    """Run both for each seed."""
    args = measuring.arguments(
        __doc__,
        env={"default": "experiment"},
        seeds={"type": int, "nargs": "+", "default": [7]},
        stores={"type": Path, "help": "a directory of stores to begin with"},
    )
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        project = copy_project(Path(directory) / "project")
        root = project / "data" / ("" if args.env == "base" else args.env)
        if args.stores:
            root.mkdir(parents=True)
            (root / "stores").symlink_to(args.stores.resolve())
        for seed in args.seeds:
            rows += arms_of(seed, args.env, Data(root), project)
            measuring.report("rounds", rows)
    differences = [row["difference"] for row in rows if row["rounds"] == 2]
    measuring.report(
        "rounds",
        rows,
        mean_difference=sum(differences) / len(differences),
        interval_over_seeds=str(mean_t(differences, CONFIDENCE)),
    )


if __name__ == "__main__":
    main()
