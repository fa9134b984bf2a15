"""Weights inside the package."""

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path


def bundled_file(file_name: str) -> AbstractContextManager[Path]:
    """Return a file of ``vidrestore/models/data``: a context manager that yields its path."""
    return as_file(files("vidrestore.models") / "data" / file_name)
