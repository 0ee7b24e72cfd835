"""The one error type whose message is written for the user."""

import errno
import os
import re
import sys
from pathlib import Path

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143  # 128 and the signal: SIGINT, SIGTERM
EXIT_WAITING = 75  # sysexits.h's EX_TEMPFAIL: "the user is invited to retry"


class PersynError(Exception):
    """Bad input, settings or state, described in one sentence that names the file, row or key.

    Raised by the domain; the ``run`` command prints the sentence and exits with 1.

    Attributes:
        raised_in: the module that raised it, also if that was in another process.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.raised_in = str(sys._getframe(1).f_globals.get("__name__", ""))

    def packed(self) -> str:
        """Return the sentence and where it was raised, for another process."""
        return f"{self.raised_in}\n{self}"

    @staticmethod
    def unpacked(text: str) -> "PersynError":
        """Return the error that another process has ``packed``."""
        raised_in, _, sentence = text.partition("\n")
        error = PersynError(sentence)
        error.raised_in = raised_in
        return error


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


class Interrupted(PersynError):
    """Ctrl-C or SIGTERM, its cause, as an exception that reaches hooks."""


class Waiting(PersynError):
    """Requests are under way at a batch service; the same command collects the answers later.

    The ``run`` command prints the sentence and exits with ``EXIT_WAITING``.
    """


def full_disk(error: BaseException | None) -> str | None:
    """Return the sentence for an error caused by a full disk, None for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        told = os.strerror(error.errno) + (f" ({error.filename})" if error.filename else "")
    elif re.search(r"os error 28\b|No space left on device", str(error)):  # safetensors', torch's
        told = os.strerror(errno.ENOSPC)
    else:
        return None
    return f"{told}: what was stored is safe. Free some space, then run the same command to resume."


def yaml_sentence(error: Exception, directory: Path) -> str:
    """Say which file in ``directory`` is not valid YAML, or repeats a key, and where.

    Kedro's error does not name the file, so each is read again.
    """
    from omegaconf import OmegaConf
    from yaml import MarkedYAMLError, YAMLError

    for path in sorted(directory.rglob("*.yml")):
        try:
            OmegaConf.load(path)
        except MarkedYAMLError as found:
            line = found.problem_mark.line + 1 if found.problem_mark else "?"
            return f"{path}, line {line}: {found.problem}."
        except (YAMLError, UnicodeDecodeError) as found:  # control characters, another encoding
            return f"{path}: {' '.join(str(found).split())}."
    return " ".join(str(error).split())
