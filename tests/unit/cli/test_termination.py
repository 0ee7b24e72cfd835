"""SIGTERM ends a command as Ctrl-C does, with its own exit code."""

import signal
from collections.abc import Iterator

import click
import pytest

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.termination import ended_by_sigterm
from persyn_kedro.foundations.errors import Interrupted


@pytest.fixture(autouse=True)
def _as_started() -> Iterator[None]:
    """No handler: an earlier test of this process may have left Ray's, which ends all of it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)  # this thread's; os.kill's may reach another one, later


@pytest.mark.parametrize("through_the_runner", [False, True])
def test_it_exits_with_143_and_says_how_to_resume(
    through_the_runner: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(click.exceptions.Exit) as ended, one_sentence(), ended_by_sigterm():
        try:
            terminate()
        except KeyboardInterrupt as error:
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a second one kills
            if through_the_runner:
                raise Interrupted("interrupted") from error
            raise
    assert ended.value.exit_code == 143
    assert "Run the same command to resume" in capsys.readouterr().err


def test_what_is_ignored_stays_ignored_and_nothing_stays_behind() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ended_by_sigterm():
            terminate()
    finally:
        signal.signal(signal.SIGTERM, before)
    with ended_by_sigterm():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
