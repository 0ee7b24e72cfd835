"""Print the user's errors as one sentence."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from kedro.config import MissingConfigException
from kedro.io import DatasetError, DatasetNotFoundError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from persyn_kedro.cli.topics import link_to, section_of
from persyn_kedro.foundations.errors import (
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_WAITING,
    Interrupted,
    PersynError,
    Terminated,
    Waiting,
    full_disk,
    yaml_sentence,
)
from persyn_kedro.foundations.extras import extra_of, install
from persyn_kedro.foundations.secrets import without_credentials


class _Told(click.ClickException):
    """An error in one sentence, and where the documentation says more."""

    def __init__(self, sentence: str, section: str = "settings") -> None:
        super().__init__(without_credentials(sentence))
        self._section = section

    def show(self, file: IO[Any] | None = None) -> None:
        super().show(file)
        click.echo(f"More: {link_to(self._section)}", file=file, err=file is None)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print a user's error as ``Error: …`` in one sentence, and exit with 1.

    Ctrl-C exits with ``EXIT_INTERRUPTED``, SIGTERM with ``EXIT_TERMINATED``, and a run that waits
    for a batch service with ``EXIT_WAITING``.
    """
    try:
        yield
    except (KeyboardInterrupt, Interrupted) as error:
        click.echo(
            "Interrupted: all answers so far are saved. Run the same command to resume.",
            err=True,
        )
        terminated = isinstance(error, Terminated) or isinstance(error.__cause__, Terminated)
        raise click.exceptions.Exit(EXIT_TERMINATED if terminated else EXIT_INTERRUPTED) from None
    except Waiting as waiting:
        click.echo(without_credentials(str(waiting)), err=True)
        raise click.exceptions.Exit(EXIT_WAITING) from None
    except PersynError as error:
        raise _Told(str(error), section_of(error.raised_in)) from error
    except ParameterValidationError as error:
        raise _Told(str(error)) from error
    except (MissingConfigException, OmegaConfBaseException, DatasetNotFoundError) as error:
        if isinstance(error, MissingConfigException) and not Path("conf").is_dir():
            sentence = "No project here: `persyn new my-run` makes one, or --conf-source names one."
            raise _Told(sentence) from error
        raise _Told(" ".join(str(error).split())) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise _Told(yaml_sentence(error, Path("conf"))) from error
    except ModuleNotFoundError as error:
        extra = extra_of(error.name)
        if extra is None:
            raise
        raise _Told(f"{error.name} is not installed: run {install(extra)}.") from error
    except ValueError as error:
        # A key in two files of one environment; an integer of thousands of digits.
        if not str(error).startswith(("Duplicate keys found", "Exceeds the limit")):
            raise
        raise _Told(" ".join(str(error).split())) from error
    except (DatasetError, OSError) as error:
        cause: BaseException | None = error
        while isinstance(cause, DatasetError):  # Kedro wraps the errors of tables
            cause = cause.__cause__
        told, section = full_disk(cause), "storage"
        if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
            told = f"{os.strerror(errno.ENAMETOOLONG)}: {cause.filename}."
        if isinstance(cause, PersynError):
            section = section_of(cause.raised_in)
        elif told is None:
            raise
        raise _Told(told or str(cause), section) from error
