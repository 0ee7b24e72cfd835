"""What must lie on a disk though it is in an object store: models, routers, workspaces."""

from pathlib import Path

import pytest

from persyn_kedro.datasets.handles import StoreHandle, Workspace
from persyn_kedro.foundations.storage.paths import place


def test_a_workspace_and_file_urls_are_on_a_local_disk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSYN_CACHE", str(tmp_path / "cache"))
    assert Workspace(filepath=f"{url}/w").load().is_relative_to(tmp_path / "cache")
    assert place(f"file://{tmp_path}/x") == tmp_path / "x"
    StoreHandle(filepath=f"file://{tmp_path}/s", kind="trials").load().note_import({"rows": 1})
    assert list((tmp_path / "s").iterdir())
