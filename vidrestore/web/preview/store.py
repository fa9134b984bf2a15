"""Folders of preview images; only the latest few are kept."""

import re
import secrets
import shutil
import threading
from pathlib import Path

from vidrestore.storage.file_errors import file_errors

_KEPT = 12
_TOKEN_BYTES = 8
_TOKEN = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[0-9]-(?:before|after)\.png")


class PreviewStore:
    """Makes a folder for each preview. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        """Remove what an earlier page left.

        Args:
            folder: Parent of the folders; made if it does not exist.

        Raises:
            MediaError: It cannot be written.
        """
        self._folder = folder
        self._mutex = threading.Lock()
        self._tokens: list[str] = []
        shutil.rmtree(folder, ignore_errors=True)
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, mode=0o700)

    def new(self) -> tuple[str, Path]:
        """Return the token of a new preview and its folder.

        Raises:
            MediaError: It cannot be made.
        """
        token = secrets.token_hex(_TOKEN_BYTES)
        with file_errors(self._folder, "write"):
            (self._folder / token).mkdir(mode=0o700)
        with self._mutex:
            self._tokens.append(token)
            old, self._tokens = self._tokens[:-_KEPT], self._tokens[-_KEPT:]
        for folder in old:
            shutil.rmtree(self._folder / folder, ignore_errors=True)
        return token, self._folder / token

    def image(self, token: str, name: str) -> Path | None:
        """Return the path of an image; None if there is none."""
        if not _TOKEN.fullmatch(token) or not _NAME.fullmatch(name):
            return None
        path = self._folder / token / name
        return path if path.is_file() else None
