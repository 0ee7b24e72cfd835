"""Write the published table of a project's labelled calibration answers.

    kedro run --env=experiment --pipelines=prepare,label \
        --params=prepare.calibration_fraction=0.7,prepare.test_fraction=0.2
    .venv/bin/python benchmarks/zoo_table.py data/experiment

`benchmarks/data/zoo_calibration.parquet` has a row for each calibration prompt and teacher of the
models that install from the package index: the prompt, the answer and its tokens, what the student
thinks of it, its quality and its reward. Labelling takes over an hour on two cores; with the table,
`designs.py` and anything else that only looks answers up needs no model.
"""

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TABLE = Path(__file__).parent / "data" / "zoo_calibration.parquet"
KEYS = ["prompt_id", "teacher"]
ANSWERS = ["response", "finish_reason", "prompt_tokens", "completion_tokens"]
STATISTICS = ["tokens", "sum_logp", "sum_rank_100", "sum_p2", "sum_p_true"]
REWARDS = ["quality", "learnability", "reward", "valid"]


def newest(data: Path, name: str) -> pa.Table:
    """Return the newest version of one of the project's tables."""
    return pq.read_table(max(data.glob(f"*/{name}.parquet/*/{name}.parquet")))


def joined(data: Path) -> pa.Table:
    """Return the table, ordered by prompt and teacher."""
    table = newest(data, "rewards").select([*KEYS, *REWARDS])
    for name, columns in (("calibration_responses", ANSWERS), ("token_statistics", STATISTICS)):
        table = table.join(newest(data, name).select([*KEYS, *columns]), KEYS)
    prompts = newest(data, "prompts").select(["prompt_id", "prompt", "reference"])
    return table.join(prompts, "prompt_id").sort_by([(key, "ascending") for key in KEYS])


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the project's data directory")
    table = joined(parser.parse_args().data)
    TABLE.parent.mkdir(exist_ok=True)
    pq.write_table(table.replace_schema_metadata(None), TABLE, compression="zstd")
    print(f"{TABLE.name}: {len(table)} rows, {TABLE.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
