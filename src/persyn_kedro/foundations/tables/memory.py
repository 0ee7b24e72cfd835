"""Give back to the machine what was used for tables and is free."""

import ctypes
import sys


def give_back() -> None:
    """Do so now. Allocators keep free pages in case they are wanted again, often most of all.

    It takes less than a millisecond where little is free, some for hundreds of megabytes: done
    between steps and blocks, and where a long wait begins.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":  # where the C library has it (musl's has not)
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
