"""Files that a command writes beside its result: refused before the work, not after it."""

import os
from collections.abc import Sequence
from os.path import realpath
from pathlib import Path

from vidrestore.errors import ConfigError


def check_side_file(
    option: str, path: Path, *, others: Sequence[Path | None], overwrite: bool
) -> None:
    """Refuse now what would fail after hours of work.

    Args:
        option: What named the file, for the message.
        path: The file.
        others: What else is read and written; None counts for nothing.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        ConfigError: The file cannot be written there.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{option} {path}: name a file in a folder that exists")
    if not os.access(path.absolute().parent, os.W_OK):
        raise ConfigError(f"{option} {path}: this folder cannot be written")
    # Links that lead in a circle are refused where they are used: realpath lets them pass.
    if realpath(path) in [realpath(other) for other in others if other is not None]:
        raise ConfigError(f"{option} {path}: this is the source or another output")
    if path.exists() and not overwrite:
        raise ConfigError(f"{option} {path}: exists; choose another name or use --overwrite")
