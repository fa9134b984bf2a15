"""Large files in parts with checksums: for ways that carry small files only.

``split_file`` writes ``NAME.000``, ``NAME.001``, ... and, last, ``NAME.parts.json``, which names
every part with its length and SHA-256; ``join_file`` checks them all and puts the file together.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, cast

from vidrestore.errors import ConfigError, WeightsError

PART_BYTES = 14_000_000
"""Well below the 16 MiB that a file may have where machines are lent."""
_SUFFIX = ".parts.json"


def split_file(path: Path, *, part_bytes: int = PART_BYTES) -> Path:
    """Write the parts of a file beside it; return the path of the list.

    Parts of an earlier file of this name are replaced; those that are no longer needed go. Names
    of parts begin with the file's checksum, so that a run that is cut off while it writes leaves
    the earlier file's parts and list as they were.

    Args:
        path: The file, which stays.
        part_bytes: Of every part but the last.

    Raises:
        ConfigError: ``part_bytes`` is below 1.
    """
    if part_bytes < 1:
        raise ConfigError(f"part_bytes must be >= 1, got {part_bytes}")
    whole = path.read_bytes()
    checksum = hashlib.sha256(whole).hexdigest()
    parts: list[dict[str, str | int]] = []
    for number, index in enumerate(range(0, max(1, len(whole)), part_bytes)):
        data = whole[index : index + part_bytes]
        name = f"{path.name}.{checksum[:8]}.{number:03d}"
        path.with_name(name).write_bytes(data)
        parts.append(_entry(name, data))
    listed = path.with_name(path.name + _SUFFIX)
    beside = listed.with_name(listed.name + ".part")
    beside.write_text(json.dumps({**_entry(path.name, whole), "parts": parts}, indent=1) + "\n")
    beside.replace(listed)
    kept = {str(part["name"]) for part in parts}
    for old in path.parent.glob(f"{path.name}.*.[0-9][0-9][0-9]"):
        if old.name not in kept:
            old.unlink()
    return listed


def join_file(listed: Path) -> Path:
    """Put a file together from its parts, beside them; return its path.

    Args:
        listed: ``NAME.parts.json``, as ``split_file`` wrote it.

    Raises:
        WeightsError: The list is unreadable, or a part is missing, truncated or changed; nothing
            is written then.
    """
    entry = _read_list(listed)
    whole = b"".join(_checked(listed.parent, each) for each in entry["parts"])
    if _entry(entry["name"], whole) != {key: entry[key] for key in ("name", "bytes", "sha256")}:
        raise WeightsError(f"{listed}: the parts do not make the file it names; copy them again")
    target = listed.with_name(entry["name"])
    beside = target.with_name(target.name + ".part")
    beside.write_bytes(whole)
    beside.replace(target)
    return target


def _entry(name: str, data: bytes) -> dict[str, str | int]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _read_list(listed: Path) -> dict[str, Any]:
    try:
        raw: object = json.loads(listed.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{listed}: not a readable list of parts: {error}") from error
    entry = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
    parts = entry.get("parts")
    entries = [entry, *(cast("list[Any]", parts) if isinstance(parts, list) else [None])]
    if not all(_is_entry(each) for each in entries):
        raise WeightsError(f"{listed}: not a list of the parts of a file; copy it again")
    return entry


def _is_entry(raw: object) -> bool:
    """Whether it is what ``_entry`` made; names stay within the folder."""
    if not isinstance(raw, dict):
        return False
    entry = cast("dict[str, object]", raw)
    name = entry.get("name")
    plain = isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name
    return plain and isinstance(entry.get("bytes"), int) and isinstance(entry.get("sha256"), str)


def _checked(folder: Path, entry: dict[str, Any]) -> bytes:
    path = folder / entry["name"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: a part that cannot be read: {error.strerror}") from error
    if len(data) != entry["bytes"]:
        raise WeightsError(f"{path}: {len(data)} bytes of {entry['bytes']}; copy this part again")
    if _entry(entry["name"], data) != entry:
        raise WeightsError(f"{path}: its checksum is another one; copy this part again")
    return data
