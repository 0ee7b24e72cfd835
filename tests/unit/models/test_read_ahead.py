"""Files are read ahead if they fit, and never in anybody's way."""

import threading
from pathlib import Path

import pytest

from persyn_kedro.foundations.models import read_ahead as reading
from persyn_kedro.foundations.models.read_ahead import read_ahead


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "original").mkdir(parents=True)
    (directory / "a.safetensors").write_bytes(b"a" * 600)
    (directory / "config.json").write_bytes(b"{" * 400)
    return directory


def test_all_files_are_read_to_their_ends(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, int] = {}
    plain = Path.open

    def counted(path: Path, *args: object, **more: object) -> object:
        file = plain(path, *args, **more)  # type: ignore[call-overload]
        if path.parent != model:
            return file

        class Counted:
            def __enter__(self) -> "Counted":
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def readinto(self, block: bytearray) -> int:
                count = file.readinto(block)
                read[path.name] = read.get(path.name, 0) + count
                return count

        return Counted()

    monkeypatch.setattr(Path, "open", counted)
    monkeypatch.setattr(reading, "_BLOCK", 256)
    thread = read_ahead(model)
    assert thread is not None
    thread.join(10)
    assert read == {"a.safetensors": 600, "config.json": 400}


@pytest.mark.parametrize(("free", "reads"), [(1999, False), (2000, True), (0, False)])
def test_it_reads_what_fits_in_half_of_the_free_memory(
    free: int, reads: bool, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "free_bytes", lambda: free)
    assert (read_ahead(model) is not None) == reads


def test_what_is_not_there_or_vanishes_is_left_to_the_one_who_needs_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_ahead(model / "missing") is None
    monkeypatch.setattr(reading, "free_bytes", lambda: 1 << 30)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    monkeypatch.setattr(Path, "open", lambda *args, **more: (_ for _ in ()).throw(OSError("gone")))
    thread = read_ahead(model)
    assert thread is not None
    thread.join(10)
    assert failed == []
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    assert read_ahead(dangling(model)) is None  # its size is unknown


def dangling(model: Path) -> Path:
    """Return the directory with a file that vanished since it was listed."""
    (model / "gone").symlink_to(model / "nowhere")
    return model


def test_this_machine_says_how_much_memory_is_free() -> None:
    if not Path("/proc/meminfo").exists():
        pytest.skip("no /proc/meminfo")
    assert 1 << 24 < reading.free_bytes() < 1 << 50
