"""Memory allocators: freed memory goes back to the system at once, so the server stays small.

By default glibc keeps freed blocks in one arena per thread, and Arrow's allocator keeps what it
read; with photos decoded and tables read by many short threads that doubles the process.
"""

import ctypes
import functools
import os

import pyarrow as pa

# mallopt(3): its parameters and what they are set to.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
SETTINGS = {TRIM_THRESHOLD: 128 * 1024, MMAP_THRESHOLD: 128 * 1024, ARENA_MAX: 2}


@functools.cache
def configure_allocators() -> bool:
    """Set the allocators, once per process; returns whether the C library took the settings.

    Elsewhere than with glibc only Arrow's allocator is set, and False is returned.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if os.name != "posix":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(*setting) == 1 for setting in SETTINGS.items())
