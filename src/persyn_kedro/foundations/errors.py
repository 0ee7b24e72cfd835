"""The one error type whose message is written for the user of the command line."""


class PersynError(Exception):
    """Bad input, settings or state, told in one sentence that names the file, row or key.

    Raised by the domain; the project's ``run`` command prints the sentence and exits with 1.
    """
