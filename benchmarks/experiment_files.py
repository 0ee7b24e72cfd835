"""Write the files of setting (a) of docs/experiment_plan.md: prompts, and answers already given.

    .venv/bin/python benchmarks/experiment_files.py
    .venv/bin/kedro fetch-models --env=experiment_a
    .venv/bin/kedro import-responses --env=experiment_a data/experiment_a/01_raw/answers.jsonl

The 422 prompts and the answers of five teachers to them are in
`benchmarks/data/zoo_calibration.parquet`. The 400 test prompts are new draws of the same four
generators, of those whose place by the seed is in the test split: none of the 422 is there, since
they were drawn with the same seed and test fraction.

At equal teacher tokens a strategy may take more than these: `--more=145` draws as many further
prompts of each kind, whose place is among the routed ones, so the calibration set stays the same.

    .venv/bin/python benchmarks/experiment_files.py --more=145 --to=data/experiment_a_tokens/01_raw

`docs/results.py` needs the references of all these prompts:

    .venv/bin/python benchmarks/experiment_files.py --references=docs/data/a_references.parquet
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.prompts.conversation import prompt_id_of

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "benchmarks" / "data" / "zoo_calibration.parquet"
SETTINGS = ROOT / "conf" / "experiment" / "parameters.yml"
SEED = yaml.safe_load((ROOT / "conf" / "base" / "parameters.yml").read_text())["seed"]
TEST_FRACTION, TEST_PROMPTS = 0.2, 100  # the prompts are of each kind
DRAWN = 160  # of each kind in the first experiment
TOKENS = ["prompt_tokens", "completion_tokens"]
ANSWER = ["prompt", "teacher", "response", "finish_reason", *TOKENS]


def main() -> None:
    """Write the files, and say how many rows each has and which fraction is for calibration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "data" / "experiment_a" / "01_raw")
    parser.add_argument("--more", type=int, default=0, help="further prompts to route of each kind")
    parser.add_argument("--references", type=Path, help="write only this table, by prompt_id")
    arguments = parser.parse_args()
    directory, more = arguments.to, arguments.more
    answers = pq.read_table(TABLE).to_pylist()
    references = {row["prompt"]: row["reference"] for row in answers}
    source = yaml.safe_load(SETTINGS.read_text())["prepare"]["source"]
    places = sorted(unit_draw(SEED, "split", prompt_id_of(prompt)) for prompt in references)
    if places[0] < TEST_FRACTION:
        raise SystemExit("An answered prompt is in the test split; the seed is another one.")
    routed_from = (places[139] + places[140]) / 2
    print(f"calibration_fraction: {routed_from - TEST_FRACTION:.6f}")
    kinds = {
        task["name"]: _prompts(task, source["prompt_suffix"], references, routed_from, more)
        for task in source["tasks"]
    }
    if arguments.references:
        _write_references(arguments.references, kinds)
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in kinds.items():
        _write(directory / f"{name}.jsonl", rows)
    _write(directory / "answers.jsonl", ({name: row[name] for name in ANSWER} for row in answers))


def _prompts(
    task: Mapping[str, Any],
    suffix: str,
    answered: Mapping[str, str],
    routed_from: float,
    more: int,
) -> list[dict[str, str]]:
    """Return a kind's answered prompts, the test prompts drawn after them, and more to route."""
    old, test, routed, seen = [], [], [], set()
    for number, row in enumerate(_draws(task, suffix)):
        if row["prompt"] in seen:
            continue
        seen.add(row["prompt"])
        place = unit_draw(SEED, "split", prompt_id_of(row["prompt"]))
        if row["prompt"] in answered:
            old.append(row)
        elif number >= DRAWN and place < TEST_FRACTION and len(test) < TEST_PROMPTS:
            test.append(row)
        elif number >= DRAWN and place > routed_from and len(routed) < more:
            routed.append(row)
        if number >= DRAWN and len(test) == TEST_PROMPTS and len(routed) == more:
            break
    return [*old, *test, *routed]


def _draws(task: Mapping[str, Any], suffix: str) -> Iterator[dict[str, str]]:
    import reasoning_gym

    config = task["config"]
    entries = reasoning_gym.create_dataset(task["name"], size=20_000, seed=SEED, **config)
    for entry in entries:
        yield {"prompt": entry["question"] + suffix, "reference": str(entry["answer"])}


def _write_references(file: Path, kinds: Mapping[str, list[dict[str, str]]]) -> None:
    rows = [row for own in kinds.values() for row in own]
    found = {
        "prompt_id": [prompt_id_of(row["prompt"]) for row in rows],
        "reference": [row["reference"] for row in rows],
    }
    pq.write_table(pa.table(found), file, compression="zstd")


def _write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    file.write_text("".join(lines), encoding="utf-8")
    print(f"{file.name}: {len(lines)} rows")


if __name__ == "__main__":
    main()
