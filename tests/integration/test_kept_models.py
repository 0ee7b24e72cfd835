"""A child that stays makes later calls with what it has loaded, and ends when others need it."""

import gc
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import kept
from persyn_kedro.foundations.processes.feed import AT_ONCE
from persyn_kedro.foundations.processes.kept import is_kept, keep_models, run_kept
from tests.conftest import ROOT
from tests.support.processes import is_running, wait_until

MIB = 2**20


class Model:
    """Answers with its process; holds as much memory as it is told."""

    def __init__(self, name: str, stays: bool, size: int, closed: str | None) -> None:
        self.name, self._stays, self._closed = name, stays, closed
        self._weights = b"x" * size

    def __call__(self, feed: Iterator[Any]) -> Iterator[tuple[str, int, int]]:
        for item in feed:
            if item == "refuse":
                raise PersynError("Row 3 has no prompt.")
            if item == "leave":
                return
            yield self.name, item, os.getpid()

    def rest(self) -> bool:
        return self._stays

    def close(self) -> None:
        if self._closed:
            Path(self._closed).touch()


@pytest.fixture(autouse=True)
def keeping() -> Iterator[None]:
    keep_models(True)
    yield
    keep_models(False)


def call(name: str, items: Any = range(3), stays: bool = True, size: int = 0, closed: Any = None):
    feed = run_kept(
        Model, name, stays, size, closed, key=(name,), label=name, feed=iter(items), size=size
    )
    return list(feed)


def pid_of(results: list[tuple[str, int, int]]) -> int:
    (pid,) = {pid for _, _, pid in results}
    return pid


@pytest.mark.parametrize("items", [1, AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 1])
def test_one_process_makes_all_calls_and_each_gets_its_own_items(items: int, caplog) -> None:
    caplog.set_level(logging.INFO)
    first = call("a", range(items))
    assert is_kept(("a",)) and not is_kept(("b",))
    second = call("a", range(5, items + 5))
    assert [item for _, item, _ in first] == list(range(items))
    assert [item for _, item, _ in second] == list(range(5, items + 5))
    assert pid_of(first) == pid_of(second)
    assert re.findall(r"a: (loading|still loaded)", caplog.text) == ["loading", "still loaded"]


def test_two_models_stay_side_by_side() -> None:
    a, b = pid_of(call("a")), pid_of(call("b"))
    assert a != b and pid_of(call("a")) == a and pid_of(call("b")) == b


@pytest.mark.parametrize("ending", ["allowed no more", "does not stay", "never allowed"])
def test_where_it_may_not_stay_it_ends(ending: str, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    if ending == "never allowed":
        keep_models(False)
    pid = pid_of(call("a", stays=ending != "does not stay", closed=str(closed)))
    if ending == "allowed no more":
        assert is_running(pid) and not closed.exists()
        keep_models(False)
    assert not is_running(pid) and closed.exists() and not is_kept(("a",))


def test_it_ends_with_a_call_that_is_closed_early_fails_or_leaves_items() -> None:
    feed = run_kept(Model, "a", True, 0, None, key=("a",), label="a", feed=count())
    pid = next(feed)[2]
    feed.close()
    assert not is_running(pid)
    pid = pid_of(call("a"))
    with pytest.raises(PersynError, match="Row 3 has no prompt"):
        call("a", [1, "refuse"])
    assert not is_running(pid) and not is_kept(("a",))
    pid = pid_of(call("a", [1, 2, "leave", *range(AT_ONCE)]))
    assert not is_running(pid) and not is_kept(("a",))


def test_one_that_was_killed_while_it_waited_is_loaded_again(caplog) -> None:
    pid = pid_of(call("a"))
    os.kill(pid, signal.SIGKILL)
    items = range(3 * AT_ONCE)
    again = call("a", items)
    assert pid_of(again) != pid and [item for _, item, _ in again] == list(items)
    assert "a: its process was lost: it is loaded again (a: its process was killed" in caplog.text
    assert is_kept(("a",))


def test_an_error_of_the_feed_or_after_an_answer_is_raised() -> None:
    def broken(before: int) -> Iterator[int]:
        yield from range(before)
        raise PersynError("The budget is used up.")

    for before in (0, 3, AT_ONCE + 1):
        call("a")
        with pytest.raises(PersynError, match="^The budget is used up"):
            call("a", broken(before))
        assert not is_kept(("a",))
    call("a")
    with pytest.raises(PersynError, match="^Row 3 has no prompt"):
        call("a", ["fine", "refuse"])
    call("a")
    with pytest.raises(PersynError, match="^Row 3 has no prompt"):
        call("a", ["refuse"])  # by the one that is loaded again


def test_while_it_waits_the_system_would_kill_it_first() -> None:
    score = Path("/proc/self/oom_score_adj")
    if not score.exists():
        pytest.skip("no /proc/self/oom_score_adj")
    more = range(4 * AT_ONCE)  # than it gets before it must wait for this process
    feed = run_kept(Model, "a", True, 0, None, key=("a",), label="a", feed=more)
    own = Path(f"/proc/{next(feed)[2]}/oom_score_adj")
    assert own.read_text() == score.read_text()
    list(feed)
    assert own.read_text().strip() == "1000"
    feed = run_kept(Model, "a", True, 0, None, key=("a",), label="a", feed=more)
    next(feed)
    assert own.read_text() == score.read_text()
    feed.close()


def test_those_used_last_stay_as_far_as_as_much_memory_stays_free(monkeypatch) -> None:
    """Each holds about 200 MiB: of what this machine has, 500 MiB are said to be free at first."""
    held: dict[int, None] = {}

    def free() -> int:
        return (500 - 200 * sum(map(is_running, held))) * MIB

    monkeypatch.setattr(kept, "free_bytes", free)

    def load(name: str) -> int:
        feed = run_kept(Model, name, True, 180 * MIB, None, key=(name,), label=name, feed=range(2))
        pid = next(feed)[2]
        held[pid] = None
        list(feed)
        return pid

    a = load("a")
    assert is_running(a)  # it holds 200, 300 stay free
    b = load("b")
    assert is_running(b) and not is_running(a)  # together they would hold 400, and leave 100
    assert load("b") == b
    call("c", stays=False, size=140 * MIB)
    assert is_running(b)  # to load files of 140 takes up to 280
    call("c", stays=False, size=160 * MIB)
    assert not is_running(b)


def test_nothing_stays_where_the_system_does_not_say_how_much_is_free(monkeypatch) -> None:
    monkeypatch.setattr(kept, "free_bytes", lambda: 0)
    assert not is_running(pid_of(call("a")))


def test_what_it_holds_is_measured(caplog) -> None:
    caplog.set_level(logging.INFO)
    empty, full = pid_of(call("a")), pid_of(call("b", size=600 * MIB))
    held = [float(n) for n in re.findall(r"stays loaded \((.*) GiB\)", caplog.text)]
    assert held[1] - held[0] == pytest.approx(600 / 1024, abs=0.05)
    keep_models(False)
    assert not is_running(empty) and not is_running(full)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Killed while a child waits."""
    program = textwrap.dedent(
        """
        import time
        from pathlib import Path
        from tests.integration.test_kept_models import call, pid_of
        from persyn_kedro.foundations.processes.kept import keep_models

        if __name__ == "__main__":
            keep_models(True)
            Path(__file__).with_name("pid").write_text(str(pid_of(call("a"))))
            time.sleep(60)
        """
    )
    (tmp_path / "program.py").write_text(program)
    said = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # it imports the tests
    parent = subprocess.Popen([sys.executable, tmp_path / "program.py"], env=environment)
    assert wait_until(lambda: said.exists() and said.read_text() != "", 120)
    pid = int(said.read_text())
    time.sleep(0.2)
    assert is_running(pid)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_running(pid))


def test_what_a_call_was_about_is_not_held_while_the_model_waits() -> None:
    class Prompts:
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

    def items(prompts: Prompts) -> Iterator[int]:
        yield from prompts

    prompts = Prompts()
    gone = weakref.ref(prompts)
    call("a", items(prompts))
    del prompts
    gc.collect()
    assert is_kept(("a",)) and gone() is None
