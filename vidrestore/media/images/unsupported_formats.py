"""Refuses image formats that are not supported, by name.

FFmpeg would call them damaged, or decode one tile of a HEIC as the whole image.
"""

from pathlib import Path

from vidrestore.errors import MediaError

_HEAD_BYTES = 32
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_RAW_SUFFIXES = frozenset(
    {
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos",
        ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srf", ".srw", ".x3f",
    }
)  # fmt: skip
_ANIMATION_FLAG = 0x02


def refuse_unsupported_image(path: Path) -> None:
    """Refuse an image of a format that is not supported.

    Raises:
        MediaError: It is such an image; the message names the format.
        OSError: The file cannot be opened.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        name = _format_name(file.read(_HEAD_BYTES), path.suffix.lower())
    if name is not None:
        raise MediaError(f"{path}: {name} is not supported; convert it to PNG or TIFF")


def _format_name(head: bytes, suffix: str) -> str | None:
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] > b"\0":
        return "an animated WebP" if head[20] & _ANIMATION_FLAG else None
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return None if b"avif" in head[16:] else "a HEIC image"
    if head[:2] == b"\xff\x0a" or head[4:8] == b"JXL ":
        return "a JPEG XL image"
    if head[:4] == b"8BPS":
        return "a Photoshop document"
    return "a camera raw image" if suffix in _RAW_SUFFIXES else None
