"""A missing extra is one sentence with the command to type, before anything is loaded."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Pipeline

from persyn_kedro.domain.quality import exact_scorer
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import EXTRAS, extra_of, install, missing, need
from persyn_kedro.foundations.settings import Needs, read_settings, step_of
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.extras import check_extras
from tests.support.reached import modules_reached
from tests.support.settings import SHORTEST

NODES = {node.func: node for make in MAKERS.values() for node in make().nodes}.values()
DRAWING = {f"persyn_kedro.domain.reporting.{name}" for name in ("drawing", "interactive")}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    def hide(*extras: str) -> None:
        for extra in extras:
            for module in EXTRAS[extra]:
                monkeypatch.setitem(sys.modules, module, None)

    return hide


def refusal(pipeline: str, **settings: Any) -> str | None:
    try:
        check_extras(MAKERS[pipeline](), read_settings({**SHORTEST, **settings}))
    except PersynError as error:
        return str(error)
    return None


def test_all_that_is_missing_is_one_sentence_with_one_command(without: Any) -> None:
    without("report", "answers")
    steps = sum((MAKERS[name]() for name in ("label", "evaluate")), Pipeline([]))
    with pytest.raises(PersynError) as error:
        check_extras(steps, read_settings(SHORTEST))
    assert sorted(str(error.value).split()) == sorted(
        "This run needs matplotlib, plotly, latex2sympy2_extended, math_verify and reasoning_gym, "
        "which are not installed: run `pip install 'persyn-kedro[answers,report]'`.".split()
    )


TASK = {"tasks": [{"name": "chain_sum", "size": 4}]}
NEEDED = {
    "answers": ("label", {}),
    "report": ("evaluate", {}),
    "gguf": ("label", {"models": {"a": {"gguf": "a.gguf"}}}),
    "batch": (
        "label",
        {
            "models": {
                "a": {"endpoint": {"url": "http://x", "model": "m", "batch": "openai"}},
                "b": {"random": "chat"},
            },
            "student": {"model": "b"},
        },
    ),
    "clean": ("prepare", {"prepare": {"source": {"file": "p"}, "near_duplicates": {}}}),
}


@pytest.mark.parametrize("extra", NEEDED)
def test_a_run_names_the_extra_that_its_settings_need(extra: str, without: Any) -> None:
    pipeline, settings = NEEDED[extra]
    assert refusal(pipeline, **settings) is None
    without(extra)
    sentence = refusal(pipeline, **settings)
    assert sentence is not None and sentence.endswith(f"not installed: run {install(extra)}.")


@pytest.mark.parametrize("extra", ["clean", "gguf", "batch", "viz", "benchmark"])
def test_a_run_that_does_not_use_an_extra_goes_on_without_it(extra: str, without: Any) -> None:
    without(extra)
    assert refusal("prepare") is None and refusal("label") is None


def test_prompts_from_a_file_need_no_extra_and_tasks_do(without: Any) -> None:
    without("answers")
    assert refusal("prepare", prepare={"source": {"file": "p"}}) is None
    for prepare in ({"source": TASK}, {"sources": [{"name": "one", **TASK}]}):
        assert "reasoning_gym" in str(refusal("prepare", prepare=prepare))


def test_the_python_api_says_it_too(without: Any) -> None:
    without("answers")
    with pytest.raises(PersynError, match=r"needs .*math_verify.*persyn-kedro\[answers\]"):
        exact_scorer()


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_step_is_marked_as_drawing_if_its_code_draws(node: Any) -> None:
    draws = bool(modules_reached(node.func) & DRAWING)
    assert draws == (Needs.DRAWINGS in step_of(node.func).needs)


def test_a_directory_of_a_modules_name_is_not_the_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W&B writes its runs into wandb/, and a project's directory is among the places of modules."""
    monkeypatch.setitem(EXTRAS, "wandb", ("some_runs",))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "some_runs").mkdir()
    assert missing("wandb") == ["some_runs"]
    (tmp_path / "some_runs" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert missing("wandb") == []


def test_one_module_is_spoken_of_in_the_singular(without: Any) -> None:
    without("viz")
    with pytest.raises(PersynError) as error:
        need("The lineage's site", "viz", "gguf")
    assert str(error.value) == (
        "The lineage's site needs kedro_viz, which is not installed: run "
        "`pip install 'persyn-kedro[viz]'`."
    )
    assert extra_of("kedro_viz.api") == "viz" and extra_of("torch") is extra_of(None) is None
