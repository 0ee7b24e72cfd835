"""What must lie on a disk though it is in an object store: models, routers, workspaces."""

import shutil
from pathlib import Path

import pytest

from persyn_kedro.datasets.handles import StoreHandle, Workspace
from persyn_kedro.datasets.model_directory import ModelDirectory
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage.mirror import copy_here
from persyn_kedro.foundations.storage.paths import place
from tests.support.catalog import versioned


def test_a_model_is_copied_once_and_again_where_another_machine_has_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model"
    (model / "tokens").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "tokens" / "a.txt").write_text("a")
    versioned(ModelDirectory, f"{url}/m", "1").save(model)
    assert not model.exists()
    copy = versioned(ModelDirectory, f"{url}/m").load()
    files = sorted(str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file())
    assert files == ["config.json", "tokens/a.txt"]
    assert versioned(ModelDirectory, f"{url}/m").load() == copy
    shutil.rmtree(tmp_path / "cache")
    assert (copy_here(copy) / "config.json").is_file()


def test_a_copy_whose_url_is_longer_than_a_file_name_is_found_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    where = f"{url}/{'é' * 70}/remote-v1/{'copy/' * 20}m"  # quoted, well over 255 bytes
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    versioned(ModelDirectory, where, "1").save(tmp_path / "model")
    copy = versioned(ModelDirectory, where).load()
    assert (copy / "config.json").is_file()
    shutil.rmtree(tmp_path / "cache")
    assert copy_here(copy) == copy and (copy / "config.json").is_file()
    shutil.rmtree(tmp_path / "cache")
    (place(where) / "1" / "m" / "config.json").unlink()
    with pytest.raises(PersynError, match="é/remote-v1/.*does not exist or is empty"):
        copy_here(copy)


def test_a_workspace_and_file_urls_are_on_a_local_disk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    assert Workspace(filepath=f"{url}/w").load().is_relative_to(tmp_path / "cache")
    assert place(f"file://{tmp_path}/x") == tmp_path / "x"
    StoreHandle(filepath=f"file://{tmp_path}/s", kind="trials").load().note_import({"rows": 1})
    assert list((tmp_path / "s").iterdir())
