"""An engine is one file in ``domain/teachers``, and ``engine.name`` is its name."""

import re
from pathlib import Path

import pytest

from persyn_kedro.domain.teachers.engines import check_named, engine_names
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import EngineSettings
from tests.catalog import load
from tests.conftest import ROOT, make_project


def engine_of_the_docs() -> str:
    """Return the engine that CONTRIBUTING.md shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.search(r"```python\n(\"\"\"An engine that .*?)```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_engine_of_contributing_answers(tmp_path: Path) -> None:
    run = make_project(tmp_path)
    (tmp_path / "src/persyn_kedro/domain/teachers/echo_engine.py").write_text(engine_of_the_docs())
    only = ["--pipelines=prepare,label", "--to-outputs=calibration_responses"]
    run("run", "--env=smoke", *only, "--params=engine.name=echo")
    rows = load(tmp_path, "calibration_responses")
    texts = {row["prompt_id"]: row["prompt"] for row in load(tmp_path, "prompts")}
    assert len(rows) > 20 and {row["engine"] for row in rows} == {"echo"}
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert all(row["response"] == texts[row["prompt_id"]].upper() for row in rows)


def test_an_engine_that_is_not_there_is_named() -> None:
    assert engine_names() == ["transformers", "vllm"]
    with pytest.raises(PersynError, match="^engine.name is 'vlm'; there are transformers, vllm.$"):
        check_named(EngineSettings(name="vlm"))
    with pytest.raises(PersynError, match="'openai'"):  # what endpoints have, and models do not
        check_named(EngineSettings(name="openai"))
