"""The catalog of a project of its own: the package's, with the project's entries over it."""

from pathlib import Path

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


def loader(conf: Path) -> ProjectConfigLoader:
    return ProjectConfigLoader(str(conf), env="base", base_env="base", default_run_env="base")
