"""What hostile code cannot do in the sandbox: read, stay, reach the network, or judge itself."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from persyn_kedro.domain.quality.code import sandbox
from persyn_kedro.domain.quality.code.sandbox import Sandbox
from tests.integration.test_sandbox import BOX, TWO, boxed, shares

pytestmark = boxed


def test_code_cannot_see_what_is_expected() -> None:
    spy = (
        "import gc, sys\n"
        "def f(x):\n"
        "    frame, seen = sys._getframe(), []\n"
        "    while frame:\n"
        "        seen += [repr(v) for v in frame.f_locals.values() if v is not seen]\n"
        "        frame = frame.f_back\n"
        "    of_kinds = (o for o in gc.get_objects() if isinstance(o, (dict, list)))\n"
        "    seen += [repr(o) for o in of_kinds if len(o) < 9]\n"
        "    return 1 if any('wanted: ' + str(len(seen) * 0) in text for text in seen) else 0\n"
    )
    assert shares([{"function": "f", "args": [0], "results": [1, "wanted: 0"]}], spy) == [0.0]


def test_what_is_expected_was_never_in_the_memory_of_code() -> None:
    """Not even freed: the code reads its process's memory, through a pipe so as not to crash.

    What it is given shows that the search finds what is there; it never builds what it looks for.
    """
    search = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.sbrk.restype = ctypes.c_void_p\n"
        "def seen(first, begin, end):\n"
        "    read, write = os.pipe()\n"
        "    for place in range(begin, end, 4096):\n"
        "        if libc.write(write, ctypes.c_void_p(place), ctypes.c_size_t(4096)) == 4096:\n"
        "            parts = os.read(read, 4096).split(first)[1:]\n"
        "            if any(part[:2] == b'xy' for part in parts):\n"
        "                return True\n"
        "    return False\n"
        "def f(x):\n"
        "    heap, pool = libc.sbrk(0) & ~4095, id(bytearray(9)) & ~4095\n"
        "    first = x[:6].encode()\n"
        "    return seen(first, heap - 2**25, heap) or seen(first, pool - 2**26, pool + 2**26)\n"
    )
    known = {"function": "f", "args": ["Zq4811xy"], "results": [True]}
    hidden = {"function": "f", "args": ["Zq4811"], "results": [True, "Zq4811xy"]}
    assert shares([known], search) == [1.0]
    assert shares([hidden], search) == [0.0]


@pytest.fixture
def of_nobody() -> Iterator[tuple[tuple[str, ...], str]]:
    """The command of code that sees /proc, as nobody, as it is in a container; its directory."""
    drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        yield (*(() if os.getuid() else drop), *sandbox._alone()), directory


def test_code_that_sees_proc_opens_neither_memory_nor_pipes_of_its_judges(
    of_nobody: tuple[tuple[str, ...], str],
) -> None:
    code = (
        "import os\n"
        "def f(x):\n"
        "    runner, found = os.getppid(), []\n"
        "    with open(f'/proc/{runner}/stat') as file:\n"
        "        judge = int(file.read().rpartition(')')[2].split()[1])\n"
        "    for process in (runner, judge):\n"
        "        for what in ('mem', 'environ', *(f'fd/{n}' for n in range(6))):\n"
        "            try:\n"
        "                os.open(f'/proc/{process}/{what}', os.O_RDONLY | os.O_NONBLOCK)\n"
        "                found.append(what)\n"
        "            except PermissionError:\n"
        "                pass\n"
        "    return found\n"
    )
    tests = [{"function": "f", "args": [0], "results": [[]]}]
    assert BOX._run(of_nobody[0], code, tests, of_nobody[1]) == ([True], "")


def test_a_job_that_ends_too_early_ends_its_judge() -> None:
    job = sandbox._part({"code": "", "tests": [], "limits": {}}) + sandbox._part([{}])[:-1]
    done = subprocess.run(sandbox._alone(), input=job, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"the job ends too early\n"


HOSTILE = {
    "forks": "import os\ndef f(x):\n    while True:\n        os.fork()",
    "starts": "import subprocess\ndef f(x):\n    subprocess.Popen(['id'])\n    return 2 * x",
    "threads": "import threading, time\ndef f(x):\n    while True:\n"
    "        threading.Thread(target=time.sleep, args=(100,)).start()",
    "fills memory": "def f(x):\n    return bytearray(2**40)",
    "fills memory elsewhere": "import os\ndef f(x):\n    os.memfd_create('m')\n    return 2 * x",
    "fills the disk": "def f(x):\n    open('big', 'wb').truncate(2**30)\n    return 2 * x",
    "writes many files": "def f(x):\n    for n in range(99):\n"
    "        with open(str(n), 'wb') as file:\n            file.write(bytes(2**22))\n"
    "    return 2 * x",
    "writes outside": "def f(x):\n    open('/usr/lib/x', 'w')\n    return 2 * x",
    "writes to the root": "def f(x):\n    open('/x', 'w')\n    return 2 * x",
    "kills": "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return 2 * x",
    "burns": "def f(x):\n    while True:\n        pass",
    "ignores the limit": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
    "def f(x):\n    while True:\n        pass",
    "prints without end": "def f(x):\n    while True:\n        print('x' * 10**6)",
    "mounts": "import ctypes\nlibc = ctypes.CDLL(None)\ndef f(x):\n"
    "    return 2 * x if libc.unshare(0x10000000) == 0 else None",
    "traces": "import ctypes\nlibc = ctypes.CDLL(None)\ndef f(x):\n"
    "    return 2 * x if libc.ptrace(16, 1, 0, 0) == 0 else None",
    "reads its judge": "import ctypes, os, struct\nlibc = ctypes.CDLL(None)\n"
    "def f(x):\n    to = ctypes.create_string_buffer(8)\n"
    "    there = ctypes.addressof(ctypes.c_int.in_dll(libc, 'optind'))\n"
    "    a, b = (struct.pack('PN', place, 4) for place in (ctypes.addressof(to), there))\n"
    "    read = libc.process_vm_readv(os.getppid(), a, 1, b, 1, 0)\n"
    "    return 2 * x if read == 4 else None",
}


def test_hostile_code_fails_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{os.environ['PATH']}:{tmp_path}"  # which these sandboxes alone have
    monkeypatch.setenv("PATH", path)
    found = shares(TWO[:1], *HOSTILE.values(), "def f(x):\n    return 2 * x")
    assert dict(zip([*HOSTILE, "good"], found, strict=True)) == {
        **dict.fromkeys(HOSTILE, 0.0),
        "good": 1.0,
    }
    assert not [p for p in os.listdir("/proc") if p.isdigit() and is_sandbox(p, path)]


def is_sandbox(process: str, path: str) -> bool:
    """Return whether this is a living process of a sandbox that was started with this PATH."""
    try:
        status = Path("/proc", process, "status").read_text()
        mine = path.encode() in Path("/proc", process, "environ").read_bytes()
    except OSError:
        return False
    return mine and "\tbwrap\n" in status and "State:\tZ" not in status


def test_code_that_sleeps_is_stopped_by_the_clock() -> None:
    test = [{"stdin": "", "stdout": ""}]
    started = time.monotonic()
    assert shares(test, "import time\ntime.sleep(1000)", "input()") == [0.0, 0.0]
    assert time.monotonic() - started >= 10


def test_no_secret_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    places = [
        str(secret),
        "/home",
        "/root/.ssh",
        "/etc/passwd",
        f"/proc/{os.getpid()}",
        "/proc/1",
        "/tmp",
    ]
    code = (
        "import os\n"
        "print(sorted(os.environ))\n"
        f"print([place for place in {places!r} if os.path.exists(place)])\n"
        "print(os.listdir('.'), sorted(os.listdir('/dev')))\n"
    )
    seen = "['HOME', 'LD_LIBRARY_PATH', 'PWD', 'PYTHONHASHSEED']\n[]\n[] ['null', 'urandom']\n"
    seen = seen.replace("'LD_", "'LC_CTYPE', 'LD_")
    assert shares([{"stdin": "", "stdout": seen}], code) == [1.0]


@pytest.fixture
def server() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_there_is_no_network(server: int) -> None:
    code = (
        "import socket\n"
        "try:\n"
        f"    socket.create_connection(('127.0.0.1', {server}), 2)\n"
        "    print('connected')\n"
        "except OSError:\n"
        "    print('none')\n"
    )
    assert shares([{"stdin": "", "stdout": "none"}], code) == [1.0]
    alone = Sandbox(1, 256, allow_unsandboxed=True)
    found, _ = alone._run(sandbox._alone(), code, [{"stdin": "", "stdout": "connected"}], "/tmp")
    assert found == [True]  # so the server was there
