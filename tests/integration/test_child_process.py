"""The child process: items stream, errors keep their words, nothing outlives its parent."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import run_in_child
from tests.support.processes import is_running, wait_until


def pids_and_env(count: int):
    for _ in range(count):
        yield os.getpid(), os.environ.get("FROM_TEST"), os.environ["TQDM_DISABLE"]


def refuse():
    yield 1
    raise PersynError("Row 3 of x.csv has no prompt.")


def fail():
    yield 1
    raise ValueError("a bug")


def die(signal_number: int):
    yield 1
    os.kill(os.getpid(), signal_number)
    time.sleep(60)


def read_nowhere(threads: int):
    for _ in range(threads):
        threading.Thread(target=wait_deep_down, args=(120,), daemon=True).start()
    yield 1
    ctypes.string_at(0)


def wait_deep_down(more: int):
    wait_deep_down(more - 1) if more else time.sleep(60)


def give_up(_: int):
    yield 1
    os.abort()


def leave(code: int):
    yield 1
    os._exit(code)


def endless(closed: str):
    try:
        while True:
            yield os.getpid()
    finally:
        Path(closed).touch()


def test_items_come_from_one_other_process_with_its_environment(caplog):
    caplog.set_level(logging.INFO)
    items = list(run_in_child(pids_and_env, 3, label="count", env={"FROM_TEST": "yes"}))
    assert len(items) == 3 and len(set(items)) == 1
    assert items[0][0] != os.getpid() and items[0][1:] == ("yes", "1")
    assert f"count: process {items[0][0]} ended, peak memory" in caplog.text
    assert not is_running(items[0][0])


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (refuse, PersynError, "^Row 3 of x.csv has no prompt.$"),
        (fail, RuntimeError, "in fail\n(.|\n)*ValueError: a bug"),
    ],
)
def test_errors_of_the_child_are_raised_here(function, error, words):
    items = run_in_child(function, label="work")
    assert next(items) == 1
    with pytest.raises(error, match=words):
        next(items)


@pytest.mark.parametrize(
    ("function", "argument", "words"),
    [
        (die, signal.SIGKILL, "SIGKILL .exit code -9., often for lack of memory"),
        (leave, 7, "exit code 7"),
    ],
)
def test_a_dead_child_is_named(function, argument, words):
    items = run_in_child(function, argument, label="vllm smollm2")
    assert next(items) == 1
    with pytest.raises(PersynError, match=f"vllm smollm2: .*{words}"):
        next(items)


@pytest.mark.parametrize(
    ("function", "threads", "name"),
    [(read_nowhere, 0, "SIGSEGV"), (read_nowhere, 40, "SIGSEGV"), (give_up, 0, "SIGABRT")],
)
def test_a_child_that_a_fault_kills_says_where(function, threads, name):
    """Also with more to say than a pipe holds, which would keep it from dying."""
    items = run_in_child(function, threads, label="vllm smollm2")
    assert next(items) == 1
    with pytest.raises(PersynError) as error:
        next(items)
    first, second, *trace = str(error.value).splitlines()
    number = getattr(signal, name)
    assert first == f"vllm smollm2: its process was killed by {name} (exit code -{number})."
    assert second.startswith("Fatal Python error: ")
    told = [line.strip() for line in trace]
    assert [x for x in told if x.startswith("Current thread ")]
    assert [x for x in told if x.startswith(f'File "{__file__}", line ') and function.__name__ in x]
    assert sum("in wait_deep_down" in x for x in told) >= 90 * threads
    assert "Extension modules" not in str(error.value)


def test_closing_ends_the_child_and_its_generator(tmp_path):
    items = run_in_child(endless, str(tmp_path / "closed"), label="endless")
    pid = next(items)
    items.close()
    assert not is_running(pid)
    assert (tmp_path / "closed").exists()


def test_a_main_module_stays_as_it_is(monkeypatch):
    """A notebook's, or an xdist worker's, has no file: Ray takes what it has for a path."""
    main = sys.modules["__main__"]
    for there in (True, False):
        if there:
            monkeypatch.setattr(main, "__file__", "some/command", raising=False)
        else:
            monkeypatch.delattr(main, "__file__", raising=False)
        before = {**vars(main)}
        assert len(list(run_in_child(pids_and_env, 3, label="count"))) == 3
        assert vars(main) == before and hasattr(main, "__file__") == there


@pytest.mark.skipif(sys.platform != "linux", reason="forks only there")
def test_libraries_are_imported_once_for_all_children(tmp_path):
    """A module that writes down each of its imports, and sets a variable as vLLM does."""
    (tmp_path / "heavy_library.py").write_text(
        "import os; open(os.environ['LOG'], 'a').write(f'{os.getpid()} ')\n"
        "os.environ['SET_BY_IMPORT'] = '1'"
    )
    (tmp_path / "broken_library.py").write_text("raise RuntimeError('no such device')")
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys
            from persyn_kedro.foundations.processes.child import run_in_child
            from persyn_kedro.foundations.processes.fork_server import import_ahead

            def work():
                names = ("LATE", "GONE", "SET_BY_IMPORT")
                yield os.getpid(), "heavy_library" in sys.modules, *map(os.environ.get, names)
                import heavy_library

            if __name__ == "__main__":
                import_ahead(["heavy_library", "no_such_library"])
                os.environ |= {"LATE": "first", "GONE": "not yet"}
                (first,) = run_in_child(work, label="work")
                os.environ["LATE"] = "second"
                del os.environ["GONE"]
                (second,) = run_in_child(work, label="work")
                assert first[1:] == (True, "first", "not yet", "1"), first
                assert second[1:] == (True, "second", None, "1"), second
                assert first[0] != second[0]
                assert "heavy_library" not in sys.modules
            """
        )
    )
    environment = {**os.environ, "LOG": str(tmp_path / "log"), "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, script], check=True, env=environment)
    assert len((tmp_path / "log").read_text().split()) == 1
    broken = script.read_text().replace('["heavy_library", "no', '["broken_library", "no')
    script.write_text(broken.replace("(True,", "(False,").replace('"1")', "None)"))
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "A library could not be imported ahead" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", ["kill", "unread"])
def test_the_child_does_not_outlive_its_parent(tmp_path, ending):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from persyn_kedro.foundations.processes.child import run_in_child

            def endless():
                while True:
                    yield os.getpid()
                    time.sleep(60)  # sends nothing: it does not notice a closed pipe

            if __name__ == "__main__":
                items = run_in_child(endless, label="endless")
                print(next(items), flush=True)
                if sys.argv[1] == "kill":
                    time.sleep(60)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script, ending], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if ending == "kill":
        assert is_running(pid)
        parent.kill()
    assert parent.wait(timeout=30) == (-signal.SIGKILL if ending == "kill" else 0)
    parent.stdout.close()
    assert wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize("own", [False, True])
def test_children_import_the_main_module_only_for_what_is_defined_there(tmp_path, own):
    """With Kedro's command comes Flask, where it is installed, with which vLLM cannot start."""
    (tmp_path / "of_the_command.py").touch()
    (tmp_path / "job.py").write_text(
        "import sys\ndef elsewhere(said):\n    yield 'of_the_command' in sys.modules\n"
    )
    script = tmp_path / "command"
    script.write_text(
        textwrap.dedent(
            """
            import of_the_command, sys
            from job import elsewhere
            from persyn_kedro.foundations.processes.child import run_in_child

            def here(said):
                yield from elsewhere(said)

            if __name__ == "__main__":
                work = here if sys.argv[1] == "True" else elsewhere
                said = "if __name__ == '__main__': a prompt may say so"
                print(*run_in_child(work, said, label="work"), __file__ == sys.argv[0])
            """
        )
    )
    found = subprocess.run(
        [sys.executable, script, str(own)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == [str(own), "True"]


def test_a_refusal_says_where_it_was_raised_also_in_another_process() -> None:
    with pytest.raises(PersynError) as error:
        list(run_in_child(refuse, label="a child"))
    assert error.value.raised_in == refuse.__module__
