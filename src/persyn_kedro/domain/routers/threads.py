"""Small products on one thread.

Fits on frozen embeddings are thousands of tiny products. Threads gain nothing there, and where
other work has the cores they wait for each other: a fit of seconds then takes minutes.
"""

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def on_one_thread() -> AbstractContextManager[object]:
    """Limit BLAS and OpenMP to the calling thread in the block."""
    return _threads().limit(limits=1)


@cache
def _threads() -> "ThreadpoolController":
    import scipy.linalg  # noqa: F401 - only libraries that are loaded are limited
    import sklearn.neighbors  # noqa: F401
    import torch  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
