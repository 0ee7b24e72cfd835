"""Print the user's errors as one sentence."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from kedro.config import MissingConfigException
from kedro.io import DatasetError, DatasetNotFoundError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from persyn_kedro.foundations.errors import (
    EXIT_WAITING,
    Interrupted,
    PersynError,
    Waiting,
    full_disk,
    yaml_sentence,
)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print a user's error as ``Error: …`` in one sentence, and exit with 1.

    Ctrl-C exits with 130, and a run that waits for a batch service with ``EXIT_WAITING``.
    """
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        click.echo(
            "Interrupted: all answers so far are saved. Run the same command to resume.",
            err=True,
        )
        raise click.exceptions.Exit(130) from None
    except Waiting as waiting:
        click.echo(str(waiting), err=True)
        raise click.exceptions.Exit(EXIT_WAITING) from None
    except (PersynError, ParameterValidationError) as error:
        raise click.ClickException(str(error)) from error
    except (MissingConfigException, OmegaConfBaseException, DatasetNotFoundError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(yaml_sentence(error, Path("conf"))) from error
    except ValueError as error:
        # A key in two files of one environment; an integer of thousands of digits.
        if not str(error).startswith(("Duplicate keys found", "Exceeds the limit")):
            raise
        raise click.ClickException(" ".join(str(error).split())) from error
    except (DatasetError, OSError) as error:
        cause: BaseException | None = error
        while isinstance(cause, DatasetError):  # Kedro wraps the errors of tables
            cause = cause.__cause__
        sentence = full_disk(cause)
        if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
            sentence = f"{os.strerror(errno.ENAMETOOLONG)}: {cause.filename}."
        if sentence is None and not isinstance(cause, PersynError):
            raise
        raise click.ClickException(sentence or str(cause)) from error
