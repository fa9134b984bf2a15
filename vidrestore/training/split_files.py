"""Splits large files into parts with checksums, for transfers with a limit on file size.

``split_file`` writes the parts ``NAME.CHECKSUM.000``, ``NAME.CHECKSUM.001``, ... and then
``NAME.parts.json``, which lists each part with its length and SHA-256. ``join_file`` checks the
parts and joins them.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, cast

from vidrestore.errors import ConfigError, WeightsError
from vidrestore.storage.atomic_output import partial_file

PART_BYTES = 14_000_000
"""Below 16 MiB, a common limit of file transfers."""
_SUFFIX = ".parts.json"


def split_file(path: Path, *, part_bytes: int = PART_BYTES) -> Path:
    """Write the parts of a file and their list into its folder; return the path of the list.

    Parts of an earlier file with this name are removed at the end. The names of parts contain the
    file's checksum, so an interrupted call leaves the earlier parts and their list as they were.

    Args:
        path: The file, which is kept.
        part_bytes: Size of every part but the last.

    Raises:
        ConfigError: ``part_bytes`` is below 1.
    """
    if part_bytes < 1:
        raise ConfigError(f"part_bytes must be >= 1, got {part_bytes}")
    content = path.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    entries: list[dict[str, str | int]] = []
    for number, start in enumerate(range(0, max(1, len(content)), part_bytes)):
        part = content[start : start + part_bytes]
        name = f"{path.name}.{checksum[:8]}.{number:03d}"
        path.with_name(name).write_bytes(part)
        entries.append(_entry(name, part))
    list_path = path.with_name(path.name + _SUFFIX)
    with partial_file(list_path) as partial:
        entry = {**_entry(path.name, content), "parts": entries}
        partial.write_text(json.dumps(entry, indent=1) + "\n")
    current = {str(entry["name"]) for entry in entries}
    for part_path in path.parent.glob(f"{path.name}.*.[0-9][0-9][0-9]"):
        if part_path.name not in current:
            part_path.unlink()
    return list_path


def join_file(list_path: Path) -> Path:
    """Join the parts of a file in their folder; return the file's path.

    Args:
        list_path: ``NAME.parts.json``, from ``split_file``.

    Raises:
        WeightsError: The list is unreadable, or a part is missing, truncated or changed. Nothing
            is written then.
    """
    entry = _read_list(list_path)
    content = b"".join(_read_part(list_path.parent, part) for part in entry["parts"])
    if _entry(entry["name"], content) != {key: entry[key] for key in ("name", "bytes", "sha256")}:
        raise WeightsError(f"{list_path}: the parts do not make the listed file; copy them again")
    target = list_path.with_name(entry["name"])
    with partial_file(target) as partial:
        partial.write_bytes(content)
    return target


def _entry(name: str, data: bytes) -> dict[str, str | int]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _read_list(list_path: Path) -> dict[str, Any]:
    try:
        raw: object = json.loads(list_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{list_path}: not a readable list of parts: {error}") from error
    entry = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    parts = entry.get("parts")
    entries = [entry, *(cast("list[Any]", parts) if isinstance(parts, list) else [None])]
    if not all(_is_entry(raw_entry) for raw_entry in entries):
        raise WeightsError(f"{list_path}: not a list of the parts of a file; copy it again")
    return entry


def _is_entry(raw: object) -> bool:
    """Return whether ``raw`` has the fields of ``_entry``, and a name without a folder."""
    if not isinstance(raw, dict):
        return False
    entry = cast("dict[str, object]", raw)
    name = entry.get("name")
    is_name = isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name
    return is_name and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def _read_part(folder: Path, entry: dict[str, Any]) -> bytes:
    path = folder / entry["name"]
    try:
        part = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read this part: {error.strerror}") from error
    if len(part) != entry["bytes"]:
        raise WeightsError(f"{path}: {len(part)} bytes of {entry['bytes']}; copy this part again")
    if _entry(entry["name"], part) != entry:
        raise WeightsError(f"{path}: the checksum does not match the list; copy this part again")
    return part
