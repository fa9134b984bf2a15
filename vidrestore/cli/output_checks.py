"""Check before a run whether its sidecar files can be written."""

import os
from collections.abc import Sequence
from os.path import realpath
from pathlib import Path

from vidrestore.errors import ConfigError


def check_side_file(
    option: str, path: Path, *, others: Sequence[Path | None], overwrite: bool
) -> None:
    """Refuse a sidecar file that could not be written after hours of work.

    Args:
        option: The option that names the file, for the message.
        path: The file to write.
        others: All other files that the run reads or writes; None is ignored.
        overwrite: Whether an existing file may be replaced.

    Raises:
        ConfigError: The file cannot be written there.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option} {path}: is a folder, or its folder does not exist; name a file in "
            "an existing folder"
        )
    if not os.access(path.absolute().parent, os.W_OK):
        raise ConfigError(f"{option} {path}: no permission to write in this folder; name another")
    # realpath accepts links that form a loop; opening them is refused later.
    if realpath(path) in [realpath(other) for other in others if other is not None]:
        raise ConfigError(
            f"{option} {path}: is also the source or another output; name another file"
        )
    if path.exists() and not overwrite:
        raise ConfigError(f"{option} {path}: already exists; name another file or use --overwrite")
