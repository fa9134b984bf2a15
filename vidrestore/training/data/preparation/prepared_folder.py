"""A folder that a data set is written into, so that an interrupted call can be continued.

``prepared.json`` holds the settings, ``prepared.jsonl`` a line for every finished source, and
``faces.tsv`` the faces, as training reads them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from vidrestore.errors import ConfigError
from vidrestore.storage.atomic_output import partial_file
from vidrestore.storage.file_errors import file_errors
from vidrestore.training.data.face_table import BOX_COLUMNS, POINT_COLUMNS

TABLE = "faces.tsv"
COLUMNS = ("file", *POINT_COLUMNS, "eff_res512", "native_px", "source", "mask", *BOX_COLUMNS)
_SETTINGS, _LOG = "prepared.json", "prepared.jsonl"


@dataclass(slots=True, kw_only=True)
class PrepareReport:
    """Counts of a preparation."""

    images: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Reason -> faces, or images, that were left out for it."""


class PreparedFolder:
    """The faces of a folder by their sources."""

    def __init__(
        self, folder: Path, entries: dict[str, tuple[list[list[str]], dict[str, int]]]
    ) -> None:
        """Use ``open``."""
        self._folder = folder
        self._entries = entries

    @property
    def rows(self) -> list[list[str]]:
        """Cells of all faces, sorted by file."""
        return sorted(row for rows, _ in self._entries.values() for row in rows)

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Return a new folder, or one of an earlier call with the same settings.

        Raises:
            ConfigError: The folder holds other files, or was prepared with other settings.
        """
        text = json.dumps(settings, indent=1, default=str)
        path = folder / _SETTINGS
        if path.is_file():
            if path.read_text(encoding="utf-8") != text:
                raise ConfigError(
                    f"{folder}: was prepared from another source or with other settings; choose "
                    "another folder"
                )
            return cls(folder, _read_log(folder / _LOG))
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder}: the folder is not empty; choose an empty one")
        with file_errors(folder, "write"):
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return cls(folder, {})

    def __contains__(self, source: str) -> bool:
        """Return whether a source is finished."""
        return source in self._entries

    @property
    def kept(self) -> int:
        """Number of faces."""
        return sum(len(rows) for rows, _ in self._entries.values())

    def add(self, source: str, rows: Sequence[Sequence[str]], dropped: Mapping[str, int]) -> None:
        """Log a finished source, after its files are written.

        Args:
            source: Its name.
            rows: Cells of its faces, as ``COLUMNS``.
            dropped: Reason -> faces that were left out.
        """
        entry = ([list(row) for row in rows], dict(dropped))
        path = self._folder / _LOG
        with file_errors(path, "write"), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"source": source, "rows": entry[0], "dropped": entry[1]}) + "\n")
        self._entries[source] = entry

    def report(self) -> PrepareReport:
        """Return the counts over all finished sources."""
        dropped = Counter[str]()
        for _, reasons in self._entries.values():
            dropped.update(reasons)
        return PrepareReport(images=len(self._entries), kept=self.kept, dropped=dropped)

    def write_table(self) -> None:
        """Write ``faces.tsv``, sorted by file."""
        write_table(self._folder / TABLE, COLUMNS, self.rows)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table of faces, which appears when it is complete.

    Raises:
        MediaError: It cannot be written.
    """
    lines = "".join("\t".join(row) + "\n" for row in (columns, *rows))
    with file_errors(path, "write"), partial_file(path) as partial:
        partial.write_text(lines, encoding="utf-8")


def _read_log(path: Path) -> dict[str, tuple[list[list[str]], dict[str, int]]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    if lines and not lines[-1].endswith("\n"):  # interrupted while writing
        path.write_text("".join(lines[:-1]), encoding="utf-8")
        lines.pop()
    entries = map(json.loads, lines)
    return {entry["source"]: (entry["rows"], entry["dropped"]) for entry in entries}
