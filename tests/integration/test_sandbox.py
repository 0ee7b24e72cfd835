"""Models' code against tests, in a sandbox: what is right, and what is unknown."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.quality.code import sandbox
from persyn_kedro.domain.quality.code.sandbox import Sandbox
from persyn_kedro.domain.quality.code_tests import CodeTests
from persyn_kedro.domain.quality.scorer import Answer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.tables.references import stored

BOX = Sandbox(cpu_seconds=1, memory_mb=256)
WHY = BOX._why_not(sandbox._bubblewrap())
boxed = pytest.mark.skipif(WHY is not None, reason=f"bubblewrap does not work here: {WHY}")
pytestmark = boxed

TWO = [{"code": "assert f(1) == 2"}, {"code": "assert f(2) == 4"}]


def answers(tests: list[dict[str, Any]], *responses: str) -> list[Answer]:
    row = {"prompt_id": "a", "source": "s", **stored([], tests)}
    return [Answer((str(n), "r"), row, response) for n, response in enumerate(responses)]


def shares(tests: list[dict[str, Any]], *responses: str, box: Sandbox = BOX) -> list[float | None]:
    return [quality for _, quality in CodeTests(box).scores(answers(tests, *responses))]


def test_asserts() -> None:
    assert shares(
        TWO,
        "It doubles:\n```python\ndef f(x):\n    return 2 * x\n```\nDone.",
        "def f(x):\n    return x + 1",
        "def f(x): return",
        "def f(x) return 2 * x",
        "",
        "import os\nos._exit(0)",
        "raise SystemExit",
        "import sys\ndef f(x):\n    sys.exit(0)",
        "def f(x):\n    return 2 * x\nif __name__ == '__main__':\n    input()",
    ) == [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_programs() -> None:
    tests = [{"stdin": "2 3\n", "stdout": "5\n"}, {"stdin": "0.1 0.2", "stdout": "0.3"}]
    assert shares(
        tests,
        "print(sum(map(float, input().split())))",
        "print(sum(map(int, input().split())))",
        "import sys\nif __name__ == '__main__':\n    print(5)\n    sys.exit()",
        "print(5)\nraise ValueError",
        "print('the answer is 5')",
    ) == [1.0, 0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("end", ["exit()", "quit()", "exit(0)", "sys.exit()"])
def test_a_program_may_end_itself(end: str) -> None:
    tests = [{"stdin": "0", "stdout": "none"}, {"stdin": "2", "stdout": "2"}]
    code = f"import sys\nn = input()\nif n == '0':\n    print('none')\n    {end}\nprint(n)"
    assert shares(tests, code, code.replace(end, "exit(1)")) == [1.0, 0.5]


def test_functions() -> None:
    tests = [
        {"function": "f", "args": [[3, 1], 2], "results": [[1, 3]]},
        {"function": "f", "args": [[], 0.5], "results": [[]]},
    ]
    assert shares(
        tests,
        "class Solution:\n    def f(self, a: List[int], b: int):\n        return sorted(a)",
        "def f(a, b):\n    print('noise')\n    return tuple(sorted(a))",
        "def f(a, b):\n    return [1, 3.0000001]",
        "def f(a):\n    return a",
        "class Sly(list):\n    __eq__ = lambda *_: True\ndef f(a, b):\n    return Sly([7])",
        "def f(a, b):\n    return f",
    ) == [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]


def test_a_text_is_no_number() -> None:
    """Printed, 3.5 is 3.50; as a function's result it is another text, and another value."""
    tests = [{"function": "f", "args": [], "results": ["3.50", ["3.50"]]}]
    codes = [f"def f():\n    return {value}" for value in ("'3.50'", "['3.50']", "'3.5'", "3.5")]
    assert shares(tests, *codes) == [1.0, 1.0, 0.0, 0.0]
    numbers = [{"function": "f", "args": [], "results": [3.5]}]
    assert shares(numbers, codes[2], codes[3]) == [0.0, 1.0]
    assert shares([{"stdin": "", "stdout": "3.50"}], "print(3.5)") == [1.0]


def test_an_answer_leaves_nothing_for_the_next() -> None:
    code = (
        "import os\n"
        "def f(x):\n"
        "    alone = os.listdir('.') == [] and len(os.listdir('..')) == 1\n"
        "    open('left', 'w').close()\n"
        "    return 2 * x if alone else 0\n"
    )
    assert shares(TWO, code, code) == [1.0, 1.0]
    hashes = "print(hash('a'), __import__('random').random())"
    box = CodeTests(BOX).sandbox
    out = [box._run(box.command(), hashes, [{"stdin": "", "stdout": ""}], "/tmp") for _ in range(2)]
    assert out[0] == out[1]


def test_three_tests_out_of_time_end_it() -> None:
    tests = [{"stdin": str(n), "stdout": str(n)} for n in range(20)]
    code = "n = input()\nwhile int(n) > 1:\n    pass\nprint(n)"
    assert shares(tests, code) == [0.1]


def test_unknown_is_not_kept_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = QualityStore(tmp_path)
    code, broken = CodeTests(BOX), [*TWO, {"code": "assert f(1) ="}]
    both = [*answers(broken, "def f(x): return 2 * x", ""), *answers(TWO, "def f(x): return 2")]
    both[2] = Answer(("2", "r"), both[2].prompt, both[2].response)
    assert list(code.qualities(both, store).values()) == [None, None, 0.5]
    assert caplog.text.count("do not compile") == 1
    assert "prompts do not compile" in caplog.text
    assert code.stored(store)["quality"].to_pylist() == [0.5]
    assert shares([], "print(1)") == [None]


def test_without_a_sandbox_it_refuses_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: ("no-such-program",))
    with pytest.raises(PersynError, match=r"bubblewrap \(bwrap\) does not work here .*no-such-pro"):
        shares(TWO, "def f(x):\n    return 2 * x")
    limited = Sandbox(1, 256, allow_unsandboxed=True)
    fork = "import os\ndef f(x):\n    os.fork()\n    return 2 * x"
    assert shares(TWO, "def f(x):\n    return 2 * x", fork, box=limited) == [1.0, 0.0]
    with pytest.raises(PersynError, match="The container does not work here"):
        shares(TWO, "", box=Sandbox(1, 256, "no/such:image", allow_unsandboxed=True))


def test_a_container_gets_the_same_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\necho "$@" > "$0.told"\nwhile [ "$1" != python3 ]; do shift; done\nexec "$@"\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(
        sandbox.shutil, "which", lambda name: str(docker) if name == "docker" else None
    )
    box = Sandbox(1, 256, "python:3.11-slim")
    assert shares(TWO, "def f(x):\n    return 2 * x", box=box) == [1.0]
    told = (tmp_path / "docker.told").read_text()
    assert "--network none --read-only --cap-drop ALL" in told
    assert " python:3.11-slim python3 " in told
    assert CodeTests(box).identity["python"] == "python:3.11-slim"


def test_a_failing_sandbox_is_unknown_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("bwrap", 1)

    BOX.command()
    monkeypatch.setattr(sandbox.subprocess, "run", fail)
    assert shares(TWO, "def f(x):\n    return 2 * x") == [None]
