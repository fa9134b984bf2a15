"""The folders whose files the page may read; everything else is refused."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.media.file_kinds import is_image_name
from vidrestore.media.output.containers import FILM_SUFFIXES

_MAX_PATH_CHARS = 4096


class AllowedFolders:
    """Folders that were named when the page was started, and all folders inside them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Remember the folders.

        Args:
            folders: Existing folders.

        Raises:
            ConfigError: One of them is not a folder.
        """
        for folder in folders:
            if not folder.is_dir():
                raise ConfigError(f"{folder}: is not a folder; name one that exists")
        self.folders = tuple(folder.resolve() for folder in folders)

    def resolve(self, text: str) -> Path:
        """Return the real path that a text names.

        Links are followed before the check, and so are ``..``: what counts is where a file is.

        Args:
            text: A path; a relative one is looked for in each folder.

        Raises:
            ConfigError: It is in none of the folders, or there is no such file or folder. Both
                have one message, so that nobody learns what exists outside.
        """
        if text.strip() and len(text) <= _MAX_PATH_CHARS and "\0" not in text:
            for folder in self.folders:
                path = _real_path(folder / text.strip())
                if path is not None and self.contains(path):
                    return path
        raise ConfigError(
            f"{text[:200]!r}: no such file in the folders that were allowed at the start; check "
            "the name, or start again with its folder: vidrestore web FOLDER"
        )

    def contains(self, real_path: Path) -> bool:
        """Return whether a path without links and ``..`` is in one of the folders."""
        return any(folder in (real_path, *real_path.parents) for folder in self.folders)

    def films(self, *, limit: int) -> list[str]:
        """Return the paths of films and images, sorted within each folder, without hidden ones.

        Args:
            limit: Most paths.
        """
        return list(islice(self._films(), limit))

    def _films(self) -> Iterator[str]:
        for root in self.folders:
            for folder, subfolders, names in os.walk(root):
                subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
                for name in sorted(names):
                    if not name.startswith(".") and _is_film_name(Path(name)):
                        yield str(Path(folder) / name)


def _is_film_name(name: Path) -> bool:
    return name.suffix.lower() in FILM_SUFFIXES or is_image_name(name)


def _real_path(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
