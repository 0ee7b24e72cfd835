"""A hub model fetched before, without the hub: only some of its repository's files are here."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.hub import ask_anew, hub_commit
from persyn_kedro.foundations.models.random import make_random_model
from persyn_kedro.foundations.models.resolve import find_model, resolve_model
from persyn_kedro.foundations.settings.models import ModelSettings

COMMIT = "a" * 40
SETTINGS = ModelSettings(hub="org/model", revision="main")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache as our download leaves it: the hub's list names files that we never fetch."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--org--model"
    directory = repository / "snapshots" / COMMIT
    make_random_model(directory, "chat", 0)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    listed = [*(path.name for path in directory.iterdir()), "README.md", ".gitattributes"]
    entries: dict[str, Any] = {name: TreeCacheEntry(size=1, blob_id="b" * 40) for name in listed}
    write_tree_cache(str(repository), COMMIT, entries)
    ask_anew()
    return directory


def test_it_is_found_and_used(snapshot: Path) -> None:
    assert hub_commit("org/model", "main", "model") == COMMIT
    found = find_model("m", SETTINGS)
    assert found is not None and found.directory == snapshot
    assert resolve_model("m", SETTINGS).directory == snapshot


def test_one_that_lacks_a_file_we_read_is_not_taken_for_whole(snapshot: Path) -> None:
    (snapshot / "tokenizer.json").unlink()
    assert find_model("m", SETTINGS) is None
    with pytest.raises(PersynError, match=r"'org/model' could not be fetched: "):
        resolve_model("m", SETTINGS)
