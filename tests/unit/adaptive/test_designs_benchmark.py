"""The benchmark of designs, on made-up answers: it runs, and reads a table and a project alike."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def designs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[3] / "benchmarks"), *sys.path])
    import designs

    return designs


def test_each_design_pays_for_what_it_asks(designs: Any) -> None:
    answers = designs.made_up(60, 0, teachers=3)

    def some(known: Any, seed: int) -> Any:
        yield from list(designs.runs(known, seed))[5::6]  # all prompts, and the last one
        yield "adaptive", 0.8, designs.adaptive(known, 0.8 * known.tokens.sum(), seed)

    full, two, ending, adaptive = designs.simulate(answers, 1, some)
    assert (full["design"], full["tokens"]) == ("full", pytest.approx(1.0))
    assert (two["design"], two["tokens"]) == ("2 per prompt", pytest.approx(2 / 3, abs=0.05))
    assert adaptive["tokens"] == pytest.approx(0.8, abs=0.03)  # the budget, in expectation
    assert two["tokens"] <= ending["tokens"] <= 1 and "not pay" in ending["design"]
    for row in (full, two, adaptive):
        assert 0 <= row["linear"] <= 1 and 0 <= row["knn"] <= 1


def test_it_reads_a_table_or_a_projects_own(designs: Any, tmp_path: Path) -> None:
    rows = [
        {
            "prompt_id": p, "teacher": t, "quality": float(p < t), "learnability": -1.0,
            "valid": True, "completion_tokens": 7, "prompt_tokens": 3,
        }
        for p in "abc" for t in "xy"
    ]  # fmt: skip
    texts = [{"prompt_id": p, "prompt": f"add {p} and one"} for p in "abc"]
    words = {row["prompt_id"]: row["prompt"] for row in texts}
    whole = pa.Table.from_pylist([{**row, "prompt": words[row["prompt_id"]]} for row in rows])
    pq.write_table(whole, tmp_path / "answers.parquet")
    names = {
        "prompts": texts,
        "rewards": rows,
        "calibration_responses": rows,
    }
    for name, table in names.items():
        place = tmp_path / "data/03_primary" / f"{name}.parquet/v1"
        place.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(table), place / f"{name}.parquet")
    one = designs.read_answers(tmp_path / "answers.parquet")
    other = designs.read_answers(tmp_path / "data")
    assert one.prompt_ids == other.prompt_ids == ["a", "b", "c"]
    assert sorted(one.teachers) == sorted(other.teachers) == ["x", "y"]
    np.testing.assert_array_equal(one.quality, np.ones((3, 2)))
    np.testing.assert_array_equal(other.tokens, np.full((3, 2), 10.0))
