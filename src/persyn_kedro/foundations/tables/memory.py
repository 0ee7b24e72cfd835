"""Give the freed memory of tables back to the operating system."""

import ctypes
import sys


def give_back() -> None:
    """Do so now. Allocators keep freed pages for reuse, often most of the memory.

    It takes less than a millisecond if little is free, a few for hundreds of megabytes: done
    between steps and blocks, and before a long wait.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":  # if the C library has it (musl does not)
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
