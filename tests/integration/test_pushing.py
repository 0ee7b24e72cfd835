"""A push, up to the network: a hub on the loopback interface says what it was sent."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from persyn_kedro.domain.export.upload import Upload, check_secrets, push, uploads
from persyn_kedro.foundations.errors import PersynError
from tests.support.hub import Hub, serve


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve() as running:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", running.url)
        yield running


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").write_bytes(b"PAR1")
    card = '---\nlicense: mit\n---\n\nload_dataset("path/to/this/directory")\n'
    (tmp_path / "README.md").write_text(card)
    return tmp_path


def test_all_files_go_in_one_commit_to_a_new_private_repository(hub: Hub, directory: Path) -> None:
    (upload,) = uploads(("me/data", directory), None)
    assert push(upload, private=True, token="hf_x") == f"{hub.url}/datasets/me/data"
    assert hub.private == {("dataset", "me/data"): True}
    assert hub.tokens == {"Bearer hf_x"}
    assert hub.commits == {
        ("dataset", "me/data"): {
            "README.md": b'---\nlicense: mit\n---\n\nload_dataset("me/data")\n',
            "data/train.parquet": b"PAR1",
        }
    }


def test_the_students_card_names_the_data_set_that_is_pushed_with_it(directory: Path) -> None:
    data, student = uploads(("me/data", directory), ("me/student", directory))
    card = huggingface_hub.ModelCard(bytes(student.files["README.md"]).decode())
    assert (data.kind, student.kind) == ("dataset", "model")
    assert card.data.datasets == ["me/data"] and card.data.license == "mit"
    assert 'load_dataset("me/student")' in card.text


@pytest.mark.parametrize(("private", "sentence"), [(True, "is public on"), (False, "is private")])
def test_the_visibility_of_a_repository_is_not_taken_for_granted(
    hub: Hub, directory: Path, private: bool, sentence: str
) -> None:
    hub.private["dataset", "me/data"] = not private
    (upload,) = uploads(("me/data", directory), None)
    with pytest.raises(PersynError, match=sentence):
        push(upload, private, "hf_x")
    assert hub.requests == ["GET /api/datasets/me/data"]  # nothing was sent
    hub.private["dataset", "me/data"] = private
    push(upload, private, "hf_x")
    assert "POST /api/repos/create" not in hub.requests


def test_a_refusal_and_a_dead_network_are_one_sentence(
    hub: Hub, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (upload,) = uploads(("me/data", directory), None)
    hub.refuse = "no write access"
    with pytest.raises(PersynError, match="^Pushing to me/data failed: ") as refused:
        push(upload, True, "hf_secret")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PersynError, match="^Pushing to me/data failed: ") as dead:
        push(upload, True, "hf_secret")
    for error in (refused, dead):
        assert "\n" not in str(error.value) and "hf_secret" not in str(error.value)
    assert not hub.commits


@pytest.mark.parametrize("name", ["data", "a/b/c", "me/..", "me/a b"])
def test_what_is_no_repository_is_refused(directory: Path, name: str) -> None:
    with pytest.raises(PersynError, match="repository"):
        list(uploads((name, directory), None))


def test_a_file_that_holds_a_key_or_a_path_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"_name_or_path": "/home/me/models"}')
    upload = Upload("me/student", "model", {"config.json": config, "README.md": b"hf_secret"})
    check_secrets(upload, {"the key": "another", "nothing": ""})
    with pytest.raises(PersynError, match="config.json for me/student contains the path") as caught:
        check_secrets(upload, {"the path": "/home/me"})
    assert "/home/me" not in str(caught.value)
    with pytest.raises(PersynError, match="README.md .* contains the key"):
        check_secrets(upload, {"the key": "hf_secret"})
