"""The benchmark of hosted teachers makes its own prompts and recipes: does it still run?"""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_ours_answers_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from hosted import measure
    from hosted_server import serving

    with serving(0) as url:
        for way in ("ours", "ours, ten teachers"):
            found = measure(way, url, 20, 8)  # it fails unless each call has an answer in the store
            assert found["seconds"] > 0 and 0 < found["peak_gib"] < 4
