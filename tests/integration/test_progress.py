"""The progress line: in place on a terminal alone, a line a minute elsewhere, and the summary."""

import logging
import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from persyn_kedro.domain.benchmarks.bars import tell_bars
from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.child import run_in_child
from persyn_kedro.foundations.progress import counts, report, step, watching


class Clock:
    """Seconds that pass only where a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level(logging.INFO, "persyn_kedro.foundations.progress")
    clock = Clock()
    for module in (report, counts):
        monkeypatch.setattr(module, "time", clock)
    return clock


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.endswith("progress")]


def test_without_a_terminal_a_line_a_minute_and_the_summary(
    clock: Clock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with step("label.answer"):
        progress.came_from_store(4, "calls")
        clock.now += 20  # of loading
        with watching("vllm big", 300, "calls") as watch:
            clock.now += 10
            watch.begin()
            for _ in range(200):
                clock.now += 0.5
                watch.advance(tokens=30, prompt_tokens=7, cost=0.25)
            assert len(told(caplog)) == 2
            clock.now += 10
            watch.advance(0, skipped=100, failed=100)
        clock.now += 2
    # 30 s before the first of 200 calls, 0.5 s each: a line at 60 and at 120 s.
    assert told(caplog) == [
        "vllm big: 60/300 calls, 2:00 left, 2.0/s, 1,800 tokens (60/s), cost 15.00",
        "vllm big: 180/300 calls, 1:00 left, 2.0/s, 5,400 tokens (60/s), cost 45.00",
        "Done label.answer in 142.0 s: 200 calls (1.8/s), 1,400 prompt tokens, "
        "6,000 completion tokens (55/s), cost 50.00, 100 failed, 4 from the store",
    ]
    assert not re.search("[\r\x1b]", "".join(capfd.readouterr()))


def test_the_innermost_work_is_told_behind_what_it_is_part_of(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with step("compare"), watching("comparing", 8, "students") as students:
        students.advance(2, skipped=1)
        with watching("fine-tuning", None, "training steps") as training:
            training.begin(40, done=30)  # by an earlier run
            clock.now += 100
            progress.add_tokens(500)
            training.advance(4, note="loss 0.500")
    assert told(caplog) == [
        "students 3/8, fine-tuning: 30/40 training steps, for 1:40, 500 tokens (5.0/s)",
        "Done compare in 100.0 s: 4 training steps (0.04/s), 500 tokens (5.0/s); "
        "2 students (0.02/s)",
    ]


def test_a_model_loaded_between_two_items_does_not_make_the_rate_infinite(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with step("compare"), watching("fitting routers", 5, "routers") as routers:
        for _ in range(4):
            clock.now += 20
            progress.loaded()  # the next one's model
            clock.now += 5
            routers.advance()
    first, *_ = told(caplog)
    # After 70 s, 50 of them since the first model was there, in which two of three fits had ended.
    assert first == "fitting routers: 2/5 routers, 0:50 left, 0.06/s"


def test_a_step_that_breaks_off_says_what_it_did(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        with step("label.answer"), watching("vllm big", 3, "calls") as watch:
            watch.advance(cost=0.5)
            raise KeyboardInterrupt
    assert told(caplog) == ["Stopped label.answer after 0.0 s: 1 calls, cost 0.5"]
    with step("next"):
        pass
    assert told(caplog)[1:] == ["Done next in 0.0 s"], "nothing of the last step is left"


def in_a_child(fails: bool) -> Iterator[int]:
    with watching("training", 3, "training steps") as watch:
        for number in range(3):
            watch.advance(tokens=10)
            yield number
        if fails:
            os.kill(os.getpid(), signal.SIGKILL)


def flood(closed: Path) -> Iterator[bytes]:
    try:
        with watching("training", None, "training steps"):
            while True:
                yield bytes(2**20)
    finally:
        closed.touch()


def with_bars() -> Iterator[None]:
    tell_bars()
    from tqdm.auto import tqdm

    for _ in tqdm(range(5), desc="Running requests"):
        pass
    bar = tqdm(total=7)
    bar.update(7)
    assert bar.format_dict["elapsed"] > 0
    bar.close()
    yield None


def test_what_a_child_does_is_told_here_and_ends_with_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "persyn_kedro.foundations.progress")
    with step("good"):
        assert list(run_in_child(in_a_child, False, label="job")) == [0, 1, 2]
    with step("killed"), watching("outer", 1, "routers"):
        with pytest.raises(PersynError, match="SIGKILL"):
            list(run_in_child(in_a_child, True, label="job"))
        assert len(report._board.names()) == 1, "the child's own watch is closed"
    closed = tmp_path / "closed"
    with step("left"), closing(run_in_child(flood, closed, label="job")) as items:
        next(items)
    assert closed.exists(), "it was not killed while it told a parent that did not listen"
    with step("bars"):
        list(run_in_child(with_bars, label="job"))  # whose tqdm was imported with TQDM_DISABLE=1
    good, killed, _, bars = told(caplog)
    for line in (good, killed):
        assert re.search(r": 3 training steps \(.*?/s\), 30 tokens \(", line)
    assert re.search(r"^Done bars in .* s: 12 requests \(", bars)
    assert not re.search("[\r\x1b]", "".join(capfd.readouterr()))


SCRIPT = """
    import logging, signal, sys, time
    from kedro.logging import RichHandler
    from persyn_kedro.foundations.processes.child import run_in_child
    from persyn_kedro.foundations.progress import step, watching

    signal.signal(signal.SIGINT, signal.default_int_handler)  # deaf in the background of a shell
    handler = RichHandler(markup=False, show_path=False)
    logging.basicConfig(level="INFO", handlers=[handler], format="%(message)s")
    log = logging.getLogger("test")
    with step("label.answer"), watching("vllm big", 4, "calls") as watch:
        for number in range(3):
            watch.advance(tokens=100, cost=0.25, failed=number == 2)
            log.info("line %d of the log", number)
        time.sleep(1)  # it is redrawn four times a second
        if "child" in sys.argv:
            list(run_in_child(map, print, ["a child's", "lines"], label="job"))
        print("a line printed", flush=True)
        if "wait" in sys.argv:
            time.sleep(60)
        watch.advance()
    print("the end", flush=True)
"""


def start(*arguments: str, out: int, **more: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), *arguments],
        stdout=out,
        stderr=out,
        env={**environment, "TERM": "xterm", "COLUMNS": "150", **more},
    )


def in_terminal(*arguments: str, until: Callable[[str], bool] = lambda text: False) -> str:
    """Return all that the script writes to a terminal; interrupt it once ``until`` holds."""
    master, slave = pty.openpty()
    process = start(*arguments, out=slave)
    os.close(slave)
    text = ""
    while select.select([master], [], [], 30)[0]:
        try:
            text += os.read(master, 4096).decode()
        except OSError:  # Linux's way to say that nobody writes any more
            break
        if until(text):
            process.send_signal(signal.SIGINT)
            until = lambda text: False  # noqa: E731
    os.close(master)
    process.wait(30)
    return text


def screen(text: str) -> list[str]:
    """Return the lines that a terminal shows in the end, as far as rich moves its cursor."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\??[\d;]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", part):
            row = max(0, row - int(part[2:-1] or 1))
        elif not part.startswith("\x1b"):
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def cursor_is_shown(text: str) -> bool:
    return re.findall(r"\x1b\[\?25([hl])", text)[-1] == "h"


def test_on_a_terminal_one_line_is_redrawn_below_the_log() -> None:
    text = in_terminal("child")
    assert "\r" in text and "\x1b[2K" in text
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert re.search(
        r"vllm big: 3/4 calls, 0:0\d left, .*300 tokens \(.*cost 0.75, 1 failed", plain
    )
    shown = [re.sub(r"^.*INFO +", "", line) for line in screen(text) if line]
    assert shown[:3] == [f"line {number} of the log" for number in range(3)]
    assert shown[3:5] == ["a child's", "lines"] and shown[5].startswith("job: process")
    assert shown[6] == "a line printed"
    assert re.fullmatch(
        r"Done label.answer in \d.\d s: 4 calls \(.*/s\), 300 tokens \(.*/s\), cost 0.75, 1 failed",
        shown[7],
    )
    assert shown[8:] == ["the end"]
    assert cursor_is_shown(text)


def test_ctrl_c_leaves_a_clean_terminal() -> None:
    text = in_terminal("wait", until=lambda text: "a line printed" in text)
    assert "Stopped label.answer after" in text and "KeyboardInterrupt" in text
    assert not any("3/4" in line for line in screen(text))
    assert cursor_is_shown(text)


def test_into_a_pipe_nothing_is_redrawn_even_with_colours_forced() -> None:
    for more in ({}, {"FORCE_COLOR": "1"}):
        process = start(out=subprocess.PIPE, **more)
        text = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 0 and "the end" in text
        assert "\r" not in text and "\x1b[2K" not in text and "3/4" not in text
        assert text.count("Done ") == 1
        assert more or "\x1b" not in text
