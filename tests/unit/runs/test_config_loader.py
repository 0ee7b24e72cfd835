"""A project's catalog is the package's with its own entries; a run's parameters change keys."""

from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.runs.config_loader import ProjectConfigLoader
from tests.conftest import ROOT


@pytest.mark.parametrize("name", ["response_store", "prompts"])
def test_an_entry_of_ones_own_takes_the_place_of_one_and_no_other(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "conf" / "base").mkdir(parents=True)
    catalog = tmp_path / "conf" / "base" / "catalog.yml"
    catalog.write_text(f"{name}: {{type: pickle.PickleDataset, filepath: mine.pkl}}\n")
    (tmp_path / "conf" / "base" / "globals.yml").write_text("data: data\n")
    own = loader(tmp_path / "conf")["catalog"]
    whole = loader(ROOT / "conf")["catalog"]
    assert own.keys() == {key for key in whole if not key.startswith("_")}
    assert own[name] == {"type": "pickle.PickleDataset", "filepath": "mine.pkl"}
    assert own["quality_store"] == whole["quality_store"]


BASE = "engine: {name: vllm, max_model_len: 1024}\nlabel: {alpha: 0.4}\nseed: 7\nlast: ${seed}\n"


@pytest.mark.parametrize(
    ("env", "given", "expected"),
    [
        (  # a group that only the base has keeps its other keys
            "seed: 8\n",
            {"engine": {"name": "transformers"}},
            {"engine": {"name": "transformers", "max_model_len": 1024}, "seed": 8},
        ),
        (  # one of the environment's takes the place of the base's, as without parameters
            "engine: {name: transformers}\n",
            {"engine": {"chunk_size": 4}},
            {"engine": {"name": "transformers", "chunk_size": 4}},
        ),
        (
            "engine: {name: vllm}\n",
            {"engine": {"name": "vllm"}},
            {"engine": {"name": "vllm"}},
        ),
        ("seed: 8\n", {"compare": {"seeds": [1]}}, {"compare": {"seeds": [1]}, "seed": 8}),
        ("label: {alpha: 1.0}\n", {"seed": 9}, {"label": {"alpha": 1.0}, "seed": 9, "last": 9}),
        (None, {"engine": {"name": "x"}}, {"engine": {"name": "x", "max_model_len": 1024}}),
    ],
)
def test_a_run_s_parameter_changes_a_key_and_not_its_group(
    tmp_path: Path, env: str | None, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    for name, text in (("base", BASE), ("mine", env)):
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / "parameters.yml").write_text(text)
    found = ProjectConfigLoader(
        str(tmp_path), env="mine", base_env="base", default_run_env="local", runtime_params=given
    )["parameters"]
    base = {"engine": {"name": "vllm", "max_model_len": 1024}, "label": {"alpha": 0.4}, "seed": 7}
    assert found == {**base, "last": 7, **expected}


def loader(conf: Path) -> ProjectConfigLoader:
    return ProjectConfigLoader(str(conf), env="base", base_env="base", default_run_env="base")
