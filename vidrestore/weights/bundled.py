"""The restorers' files inside the package."""

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path


def embedded(file_name: str) -> AbstractContextManager[Path]:
    """Return a file of ``vidrestore/models/data``, as a path for the length of a ``with``."""
    return as_file(files("vidrestore.models") / "data" / file_name)
