"""Judge a sample of the published calibration answers in several ways, and compare these.

    .venv/bin/python benchmarks/judging.py --prompts 60 judge.yml

The answers are those of `benchmarks/data/zoo_calibration.parquet`, so no teacher is asked. The file
has settings, laid over conf/experiment: `compare_quality`, and any `models` that its kinds name:

    models: {judge: {zoo: qwen2.5-coder-1.5b}}
    compare_quality:
      kinds:
        exact: {kind: exact_answer}
        judge: {kind: judge, model: judge, rubric: correctness}

The prompts are drawn evenly from the four kinds of conf/experiment. The sample and all that was
judged stay in `--project` (a copy of this project), so that another run judges only what is new.
"""

import argparse
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from kedro.io.core import Version
from project_copy import ROOT, copy_project, kedro
from zoo_table import TABLE

from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.domain.quality_comparison import order_agreement
from persyn_kedro.foundations.hashing import text_id, unit_draw
from persyn_kedro.foundations.tables import schemas

SIGNS = {  # how the prompts of each kind begin
    "chain_sum": ("State the final answer",),
    "products": ("Solve the following multiplication",),
    "simple_equations": ("Determine the value", "Find the value", "Solve for"),
    "syllogism": ("Consider these statements",),
}
VERSION = "2000-01-01T00.00.00.000Z"  # older than any that a run makes
PLACES = {
    "source_prompts": "02_intermediate",
    "calibration_responses": "03_primary",
    "token_statistics": "04_feature",
}
Rows = list[dict[str, Any]]


def kind_of(prompt: str) -> str:
    """Return which of conf/experiment's tasks a prompt is."""
    return next(kind for kind, begins in SIGNS.items() if prompt.startswith(begins))


def sample(rows: Rows, prompts: int, seed: int) -> Rows:
    """Return the rows of as many prompts of each kind."""
    by_kind: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_kind[kind_of(row["prompt"])].add(row["prompt_id"])
    share = prompts // len(by_kind)
    drawn = {
        prompt_id
        for own in by_kind.values()
        for prompt_id in sorted(own, key=lambda p: unit_draw(seed, "judging", p))[:share]
    }
    return [row for row in rows if row["prompt_id"] in drawn]


def tables(rows: Rows) -> dict[str, pa.Table]:
    """Return the tables that ``compare_quality`` reads, as ``label`` would have made them."""
    made: dict[str, Rows] = {name: [] for name in PLACES}
    for row in rows:
        key = text_id(row["prompt_id"] + row["teacher"])
        answer = {**row, "response_key": key, "sample_index": 0}
        recipe = {"weights_id": f"zoo:{row['teacher']}", "recipe_id": text_id(row["teacher"])}
        made["calibration_responses"].append({**answer, **recipe})
        # The tokens' own likelihoods are not published; only worst_window reads them.
        mean = row["sum_logp"] / row["tokens"] if row["tokens"] else None
        made["token_statistics"].append(
            {**answer, "logp": [mean] * row["tokens"] if row["tokens"] else None}
        )
    asked = {row["prompt_id"]: {**row, "source": kind_of(row["prompt"])} for row in rows}
    made["source_prompts"] = list(asked.values())
    columns = {
        "source_prompts": schemas.SOURCE_PROMPTS,
        "calibration_responses": schemas.RESPONSES,
        "token_statistics": schemas.TOKEN_STATISTICS,
    }
    return {name: pa.Table.from_pylist(own, columns[name]) for name, own in made.items()}


def prepare(project: Path, rows: Rows, settings: Path) -> None:
    """Make a project whose calibration answers are these rows."""
    if not project.exists():
        copy_project(project)
    conf = project / "conf" / "judging"
    shutil.copytree(ROOT / "conf" / "experiment", conf, dirs_exist_ok=True)
    (conf / "globals.yml").write_text("data: data/judging\n")
    (conf / "parameters_judging.yml").write_text(settings.read_text())
    for name, table in tables(rows).items():
        place = project / "data" / "judging" / PLACES[name] / f"{name}.parquet"
        shutil.rmtree(place, ignore_errors=True)
        ParquetTable(filepath=str(place), version=Version(None, VERSION)).save(table)


def by_kind_of_prompt(project: Path, rows: Rows) -> str:
    """Return the agreement of each way with the first, for each kind of prompt."""
    place = project / "data" / "judging" / "04_feature" / "judgements.parquet"
    found = pq.read_table(max(place.glob("*/judgements.parquet"))).to_pylist()
    ways = list(dict.fromkeys(row["term"] for row in found))
    task_of = {row["prompt_id"]: kind_of(row["prompt"]) for row in rows}
    quality = {(r["term"], r["prompt_id"], r["teacher"]): r["quality"] for r in found}
    lines = []
    for task in SIGNS:
        own = [(r["prompt_id"], r["teacher"]) for r in rows if task_of[r["prompt_id"]] == task]
        prompts = np.unique([prompt_id for prompt_id, _ in own], return_inverse=True)[1]
        values = {
            way: np.array([quality.get((way, *each)) for each in own], dtype=np.float64)
            for way in ways
        }
        for way in ways[1:]:
            told = order_agreement(values[ways[0]], values[way], prompts, 2000, 0.95, 1)
            lines.append(f"{task}: {ways[0]} and {way}: {told}")
    return "\n".join(lines)


def passed(project: Path, rows: Rows) -> str:
    """Return, for each other way, how many right and wrong answers get its best score, by kind."""
    place = project / "data" / "judging" / "04_feature" / "judgements.parquet"
    found = pq.read_table(max(place.glob("*/judgements.parquet"))).to_pylist()
    first, *others = dict.fromkeys(row["term"] for row in found)
    task_of = {row["prompt_id"]: kind_of(row["prompt"]) for row in rows}
    scores = {(r["term"], r["prompt_id"], r["teacher"]): r["quality"] for r in found}
    lines = []
    for way in others:
        best = max(s for (term, *_), s in scores.items() if term == way and s is not None)
        for task in SIGNS:
            own = [(r["prompt_id"], r["teacher"]) for r in rows if task_of[r["prompt_id"]] == task]
            for value, word in ((1.0, "right"), (0.0, "wrong")):
                such = [each for each in own if scores[(first, *each)] == value]
                count = sum(scores[(way, *each)] == best for each in such)
                lines.append(f"{task}: {way} gives {count} of {len(such)} {word} answers {best:g}")
    return "\n".join(lines)


def against_published(project: Path, rows: Rows) -> str:
    """Return how often exact answers, checked here, are as published."""
    place = project / "data" / "judging" / "04_feature" / "judgements.parquet"
    found = pq.read_table(max(place.glob("*/judgements.parquet"))).to_pylist()
    published = {(row["prompt_id"], row["teacher"]): row["quality"] for row in rows}
    first = found[0]["term"]
    own = [r for r in found if r["term"] == first]
    same = sum(r["quality"] == published[r["prompt_id"], r["teacher"]] for r in own)
    return f"{first}: {same} of {len(own)} answers as published"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", type=Path, help="compare_quality and models, in YAML")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--project", type=Path, default=Path("data/judging_project"))
    asked = parser.parse_args()
    yaml.safe_load(asked.settings.read_text())
    rows = sample(pq.read_table(TABLE).to_pylist(), asked.prompts, asked.seed)
    prepare(asked.project.resolve(), rows, asked.settings)
    print(kedro(asked.project.resolve(), "run", "--env=judging", "--pipelines=compare_quality"))
    print(by_kind_of_prompt(asked.project, rows))
    print(passed(asked.project, rows))
    print(against_published(asked.project, rows))


if __name__ == "__main__":
    main()
