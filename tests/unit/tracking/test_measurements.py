"""What data sets measure: the numbers that they have, by names that every tracker takes."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node

from persyn_kedro.datasets.documents import Figures, JsonDocument
from persyn_kedro.datasets.parquet_table import ParquetTable
from persyn_kedro.foundations.settings import read_settings
from persyn_kedro.foundations.tables import COLUMNS
from persyn_kedro.runs.measurements import file_of, measurements_of, parameters_of
from tests.support.settings import SHORTEST

ONE = "0" * 32
TWO = "1" * 32


def figures(directory: Path, document: Any) -> Figures:
    dataset = Figures(filepath=str(directory / "f.json"), version=Version(None, "2030"))
    dataset.save(document)
    return dataset


def table(directory: Path, kind: str, rows: list[dict[str, Any]]) -> ParquetTable:
    at = {"filepath": str(directory / f"{kind}.parquet"), "version": Version(None, "2030")}
    dataset = ParquetTable(table=kind, **at)
    dataset.save(pa.Table.from_pylist(rows, COLUMNS[kind]))
    return dataset


def test_figures_are_the_finite_numbers_by_their_path(tmp_path: Path) -> None:
    document = {
        "n": 4, "beats": True, "note": "few", "none": None, "odd": float("inf"),
        "router": {"hit@1": 0.5, "before_interval": [0.1, 0.9], "seeds": [1, 2]},
    }  # fmt: skip
    (found,) = measurements_of("metrics", figures(tmp_path, document))
    assert (found.step, found.part) == (None, ())
    assert found.values == {
        "metrics/n": 4.0,
        "metrics/router/hit_1": 0.5,
        "metrics/router/before_interval/low": 0.1,
        "metrics/router/before_interval/high": 0.9,
    }


def test_a_curve_is_by_step_and_a_routers_by_epoch(tmp_path: Path) -> None:
    rows = [{"left_out": 1}, {"step": 1, "epoch": 0.5, "loss": 3.0}, {"epoch": 2, "loss": 1.0}]
    found = list(measurements_of("curve", figures(tmp_path, rows)))
    assert [(one.step, one.values) for one in found] == [
        (1, {"curve/epoch": 0.5, "curve/loss": 3.0}),
        (2, {"curve/loss": 1.0}),
    ]


def test_calls_are_by_teacher(tmp_path: Path) -> None:
    counts = {"responses": 5, "calls": 3, "prompt_tokens": 7, "completion_tokens": 9, "errors": 0}
    row = {"teacher": "a: brief", **counts, "cached_prompt_tokens": None, "cost": 0.25}
    (found,) = measurements_of("routed_calls", table(tmp_path, "calls", [row]))
    assert found.values == {
        **{f"routed_calls/a_ brief/{name}": float(n) for name, n in counts.items()},
        "routed_calls/a_ brief/cost": 0.25,
    }


def test_students_are_parts_with_their_means(tmp_path: Path) -> None:
    rows = [
        {"strategy": s, "seed": seed, "prompt_id": p, "response_key": p, "finish_reason": "stop",
         "completion_tokens": tokens, "quality": quality}
        for s, seed, p, tokens, quality in [
            ("untrained", None, ONE, 8, 0.0), ("untrained", None, TWO, 8, 1.0),
            ("persyn", 1, ONE, 4, 1.0), ("persyn", 1, TWO, 2, 0.5), ("persyn", 2, ONE, 4, None),
        ]
    ]  # fmt: skip
    found = list(measurements_of("trials", table(tmp_path, "trials", rows)))
    assert {one.part: one.values for one in found} == {
        (("strategy", "untrained"),): {"trials/quality": 0.5, "trials/completion_tokens": 8.0},
        (("strategy", "persyn"), ("seed", 1)): {
            "trials/quality": 0.75,
            "trials/completion_tokens": 3.0,
        },
        (("strategy", "persyn"), ("seed", 2)): {"trials/completion_tokens": 4.0},
    }


@pytest.mark.parametrize(
    "kind, kept", [("rewards", True), ("calls", True), ("responses", False), ("sft_dataset", False),
                   ("prompts", False), ("dropped_prompts", False)]
)  # fmt: skip
def test_tables_with_texts_are_not_attached(tmp_path: Path, kind: str, kept: bool) -> None:
    dataset = table(tmp_path, kind, [])
    assert (file_of(dataset) is not None) == kept


def test_variables_of_the_clusters_jobs_are_not_among_the_parameters() -> None:
    variables = {"env_vars": {"HF_TOKEN": "secret"}}
    settings = read_settings({**SHORTEST, "cluster": {"runtime_env": variables}})
    step = node(lambda cluster: 1, "params:cluster", "out")
    found = parameters_of(Pipeline([step]), settings)
    assert found["cluster.runtime_env.env_vars.HF_TOKEN"] == "***"
    assert found["cluster.actors"] == "1" and "secret" not in "".join(found.values())


def test_reports_are_attached_as_they_are(tmp_path: Path) -> None:
    dataset = JsonDocument(filepath=str(tmp_path / "d.json"), version=Version(None, "2030"))
    dataset.save({"a": 1})
    assert file_of(dataset) == tmp_path / "d.json" / "2030" / "d.json"
    assert list(measurements_of("d", dataset)) == []
