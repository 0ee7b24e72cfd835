"""Work for another process, as bytes."""

import pickle
from io import BytesIO
from typing import Any

MAIN = ("__main__", "__mp_main__")  # the second in a process that imported its parent's


def pickled(work: Any) -> tuple[bytes, bool]:
    """Return the work's bytes, and whether the main module defines any of it."""
    buffer = BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(work)
    return buffer.getvalue(), pickler.of_main


class _Pickler(pickle.Pickler):
    """Sees by its module what the main module defines: a text may hold that name too."""

    of_main = False

    def reducer_override(self, value: Any) -> Any:
        self.of_main = self.of_main or getattr(value, "__module__", None) in MAIN
        return NotImplemented
