"""The one error type whose message is written for the user of the command line."""

import errno
import os


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
