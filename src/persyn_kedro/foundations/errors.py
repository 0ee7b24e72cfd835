"""The one error type whose message is written for the user of the command line."""

import errno
import os
from pathlib import Path


class PersynError(Exception):
    """Bad input, settings or state, told in one sentence that names the file, row or key.

    Raised by the domain; the project's ``run`` command prints the sentence and exits with 1.
    """


def full_disk(error: BaseException | None) -> str | None:
    """Return the sentence for an error that a full disk caused, None for any other."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"{os.strerror(error.errno)}{where}: what was stored is kept; make room, and the same "
        "command goes on from here."
    )


def yaml_sentence(error: Exception, directory: Path) -> str:
    """Say which file in ``directory`` is no YAML, or has a key twice, and where.

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
