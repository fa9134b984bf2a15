"""Write files so that they survive a power cut."""

import os
from typing import BinaryIO


def flush_and_sync(file: BinaryIO) -> None:
    """Write all buffered bytes of a file to the disk."""
    file.flush()
    os.fsync(file.fileno())
