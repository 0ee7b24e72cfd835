"""Write `basic_arithmetic`'s prompts of setting (b) of docs/experiment_plan.md, with right answers.

    .venv/bin/python benchmarks/experiment_b2_file.py

reasoning-gym's own answers to 38 of its 40 divisions are wrong (`domain.prompts.arithmetic`). When
this was seen the teachers had answered, so the prompts stay as they are and the references are the
expressions' values, as fractions; what divides by 0 has none.
"""

import json
from pathlib import Path

import reasoning_gym
import yaml

from persyn_kedro.domain.prompts.arithmetic import expression_value

ROOT = Path(__file__).parent.parent
FILE = ROOT / "data" / "experiment_b2" / "01_raw" / "basic_arithmetic.jsonl"
SEED = yaml.safe_load((ROOT / "conf" / "base" / "parameters.yml").read_text())["seed"]
SUFFIX = " Solve it and put the final answer in \\boxed{}."
CONFIG = {"max_terms": 2, "max_digits": 2, "allow_parentheses": False, "allow_negation": False}


def main() -> None:
    """Write the file, and say how many references are not reasoning-gym's."""
    entries = reasoning_gym.create_dataset("basic_arithmetic", size=165, seed=SEED, **CONFIG)
    lines, corrected = [], 0
    for entry in entries:
        value = expression_value(entry["metadata"]["expression"])
        reference = None if value is None else str(value)
        corrected += reference != entry["answer"]
        row = {"prompt": entry["question"] + SUFFIX, "reference": reference}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("".join(lines), encoding="utf-8")
    print(f"{FILE.name}: {len(lines)} rows, {corrected} references corrected")


if __name__ == "__main__":
    main()
