"""Quality as the share of a prompt's tests that an answer's code passes (METHOD.md, section 1)."""

import logging
import os
import platform
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.quality.code import sandbox
from persyn_kedro.domain.quality.code.sandbox import Sandbox
from persyn_kedro.domain.quality.scorer import Answer, Key, Scorer
from persyn_kedro.foundations.settings.label import QualitySettings, ways_of
from persyn_kedro.foundations.tables.code_tests import Test, tests_of
from persyn_kedro.foundations.tables.schemas import with_unsettled

VERSION = 3  # raise it when code is run or judged differently

SHOWN = 3  # prompts in a message
# In a list's item it is indented with all its lines; a fence that is indented more is code.
# Possessive, since a long row of tildes without an end of line would be tried at each length.
_FENCED = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}+|~{3,}+)[^\n`]*\n(?P<code>.*?)"
    r"(?:^(?:(?P=indent))? {0,3}(?P=fence)[`~]*[ \t\r]*$|\Z)",
    re.M | re.S,
)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CodeTests(Scorer):
    """Runs the answer's code against the prompt's tests, in a sandbox."""

    sandbox: Sandbox

    @property
    def identity(self) -> dict[str, str]:
        """The Python that runs the code, the limits, and whether they are all that holds it."""
        box = self.sandbox
        alone = box.allow_unsandboxed and not box.container and sandbox.bubblewrap_fault()
        return {
            "kind": "code",
            "version": str(VERSION),
            "python": box.container or platform.python_version(),
            "cpu_seconds": str(box.cpu_seconds),
            "memory_mb": str(box.memory_mb),
            **({"sandbox": "none"} if alone else {}),
        }

    @property
    def label(self) -> str:
        """What the progress line calls it."""
        return "running code"

    def judges(self, prompt: Mapping[str, Any]) -> bool:
        """Return whether a prompt has tests."""
        return bool(tests_of(prompt))

    def scores(self, answers: Sequence[Answer]) -> Iterator[tuple[Key, float | None]]:
        """Yield the share of tests passed; unknown without tests, or if one does not compile.

        Raises:
            PersynError: there is no sandbox.
        """
        if any(self.judges(answer.prompt) for answer in answers):
            self.sandbox.command()
        broken: set[str] = set()
        failed = 0
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            for answer, tests, passed in pool.map(self._judged, answers):
                if tests and passed is None:
                    failed += 1
                if tests is None:
                    broken.add(answer.prompt["prompt_id"])
                yield answer.key, sum(passed) / len(passed) if passed else None
        finally:
            pool.shutdown(cancel_futures=True)
        if broken:
            names = ", ".join(sorted(broken)[:SHOWN])
            more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
            _logger.warning(
                "The tests of %d prompts do not compile, so that their answers' quality is "
                "unknown: %s%s",
                len(broken),
                names,
                more,
            )
        if failed:
            _logger.warning(
                "The sandbox failed on %d answers, whose quality is unknown; the next run tries "
                "them again",
                failed,
            )

    def noted(self, table: pa.Table, answers: Sequence[Answer]) -> pa.Table:
        """Return QUALITY with how many answers the sandbox failed on, to be tried again."""
        pairs = zip(table["quality"].to_pylist(), answers, strict=True)
        failed = sum(value is None and bool(_sound_tests(answer)) for value, answer in pairs)
        return with_unsettled(table, failed) if failed else table

    def _judged(self, answer: Answer) -> tuple[Answer, list[Test] | None, list[bool] | None]:
        """Return the answer, its tests (None if one does not compile) and which it passed."""
        tests = _sound_tests(answer)
        passed = self.sandbox.passed(code_of(answer.response), tests) if tests else None
        return answer, tests, passed


def _sound_tests(answer: Answer) -> list[Test] | None:
    """Return the tests of an answer's prompt, None if one does not compile."""
    tests = tests_of(answer.prompt)
    sound = all(compiles(test["code"]) for test in tests if "code" in test)
    return tests if sound else None


def code_checker(settings: QualitySettings) -> CodeTests:
    """Return how ``settings`` says that code is run."""
    return CodeTests(
        Sandbox(
            settings.cpu_seconds,
            settings.memory_mb,
            settings.container,
            settings.allow_unsandboxed,
        )
    )


def check_sandbox(quality: QualitySettings | Sequence[QualitySettings]) -> None:
    """Refuse to run code without a sandbox, before a model is loaded.

    Raises:
        PersynError: says what to install or to set.
    """
    for way in ways_of(quality):
        if way.kind == "code":
            code_checker(way).sandbox.command()


def code_of(response: str) -> str:
    """Return the last fenced block of a response, which may be cut off; the text without one."""
    blocks = [*_FENCED.finditer(response)]
    if not blocks:
        return response
    return re.sub(rf"^[ \t]{{0,{len(blocks[-1]['indent'])}}}", "", blocks[-1]["code"], flags=re.M)


def compiles(code: str) -> bool:
    """Return whether a test is Python; nothing is run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "test.py", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
