"""Lines of JSON with a checksum in front: ``1a2b3c4d {"segment":0}``."""

import json
import zlib
from collections.abc import Mapping
from typing import Any


def to_checked_line(fields: Mapping[str, Any]) -> bytes:
    """Return the line of some fields, with its line feed."""
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    return f"{_checksum(text)} {text}\n".encode()


def from_checked_line(line: bytes) -> dict[str, Any]:
    """Return the fields of a line, with or without its line feed.

    Raises:
        ValueError: The line is damaged.
    """
    checksum, _, text = line.decode().rstrip().partition(" ")
    if checksum != _checksum(text):
        raise ValueError("the checksum of the line is wrong")
    return json.loads(text)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
