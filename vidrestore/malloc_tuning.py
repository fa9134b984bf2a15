"""Memory that was freed is kept for the next feature map, instead of given back to the system."""

import ctypes
import sys

# Numbers of glibc's mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Tell the C library of this process to reuse large blocks; return whether it will.

    By default glibc maps every block above 32 MiB when it is allocated and unmaps it when it is
    freed. The kernel then clears its pages one by one on every allocation, which for a feature map
    at 512 pixels takes up to ten times as long as the arithmetic on it. With freed memory kept, the
    process stays at its peak until it ends. That is right for a command; a library has to leave the
    choice to its caller.

    Only glibc knows how; elsewhere nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    mallopt.restype = ctypes.c_int
    most = 2**31 - 1
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, most), (_M_TOP_PAD, 64 << 20))
    return all([mallopt(name, value) == 1 for name, value in settings])
