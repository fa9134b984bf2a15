"""What a source is, in plain words: made from ``vidrestore info --json`` of a child process."""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from vidrestore.errors import MediaError
from vidrestore.text import clock_text
from vidrestore.web.queue.runner import PROGRAM

_TIMEOUT_SECONDS = 120
_KINDS = {"film": "A film", "folder": "An image sequence", "picture": "An image"}
_CODECS = {
    "h264": "H.264", "hevc": "H.265", "av1": "AV1", "ffv1": "FFV1", "prores": "ProRes",
    "dnxhd": "DNxHD", "mpeg2video": "MPEG-2", "mpeg4": "MPEG-4", "vp9": "VP9", "vp8": "VP8",
    "dvvideo": "DV", "mjpeg": "Motion JPEG",
}  # fmt: skip
_HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What the page says of a source. No text here may be shown as HTML: it is the file's."""

    path: Path
    kind: str
    """``film``, ``folder`` or ``picture``."""
    display_wh: tuple[int, int]
    duration_seconds: float
    """0 where there is none."""
    frames_per_second: float
    """0 where it is not known."""
    sentences: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    """Label and value of everything that ``info`` prints."""


def read_source_info(path: Path, *, program: Sequence[str] = PROGRAM) -> SourceInfo:
    """Ask a child process what a source is.

    Args:
        path: A film, a folder of images, or an image; absolute.
        program: Words that start ``vidrestore``.

    Raises:
        MediaError: It cannot be read; the message is that of the command.
    """
    words = [*program, "info", str(path), "--json"]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MediaError(
            f"{path}: took more than {_TIMEOUT_SECONDS} s to read; get another copy"
        ) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise MediaError(lines[-1].removeprefix("error: ") if lines else f"{path}: unreadable")
    return source_info(path, json.loads(done.stdout))


def source_info(path: Path, values: Mapping[str, Any]) -> SourceInfo:
    """Return what the page says of a source.

    Args:
        path: The source.
        values: Output of ``vidrestore info --json``.
    """
    rate = values["average_rate"]
    return SourceInfo(
        path=path,
        kind=values["kind"],
        display_wh=(values["display_width"], values["display_height"]),
        duration_seconds=float(values["duration_seconds"] or 0),
        frames_per_second=float(Fraction(rate)) if rate else 0.0,
        sentences=tuple(_sentences(values)),
        details=tuple(_details("", values)),
    )


def _sentences(values: Mapping[str, Any]) -> Iterator[str]:
    yield _first_sentence(values)
    if values["kind"] == "film":
        yield _streams_sentence(values["streams"])
    fields: Mapping[str, Any] = values["detect_fields"] or {}
    if fields.get("pulldown"):
        yield "It is telecined: “pulldown” recovers the original frames."
    elif fields.get("order") not in (None, "progressive", "unknown", "undecided"):
        yield "It is interlaced: each field is restored, and it stays interlaced."
    transfer = values["color"]["transfer"]
    if transfer in _HDR:
        yield f"It is HDR ({_HDR[transfer]}); its metadata is kept."
    if values["side_data"]["not_kept"]:
        yield f"Cannot be kept: {', '.join(values['side_data']['not_kept'])}."


def _first_sentence(values: Mapping[str, Any]) -> str:
    parts = [f"{values['display_width']} x {values['display_height']} pixels"]
    if values["kind"] != "picture":
        if values["duration_seconds"]:
            parts.append(_length(values["duration_seconds"]))
        if values["average_rate"]:
            rate = float(Fraction(values["average_rate"]))
            varies = " on average" if values["variable_rate"] else ""
            parts.append(f"{rate:.5g} frames per second{varies}")
    codec = _CODECS.get(values["codec"], values["codec"])
    return f"{_KINDS[values['kind']]}: {', '.join(parts)}, {values['bit_depth']}-bit {codec}."


def _length(seconds: float) -> str:
    return f"{seconds:.1f} seconds" if seconds < 60 else f"{clock_text(seconds)} long"


def _streams_sentence(streams: Sequence[Mapping[str, Any]]) -> str:
    kinds = [stream["kind"] for stream in streams]
    sound, subtitles = kinds.count("audio"), kinds.count("subtitle")
    if not sound and not subtitles:
        return "It has no sound and no subtitles."
    parts = [
        _count(sound, "sound track") if sound else "",
        _count(subtitles, "subtitle track") if subtitles else "",
    ]
    return f"With {' and '.join(filter(None, parts))}, which will be copied as they are."


def _count(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{count} {noun}s"


def _details(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested values, each with its place in words."""
    pairs: Iterable[tuple[object, Any]]
    if isinstance(value, dict):
        pairs = cast(dict[str, Any], value).items()
    elif isinstance(value, list):
        pairs = enumerate(cast(list[Any], value))
    else:
        if value not in (None, ""):
            yield prefix, str(value)
        return
    for name, inner in pairs:
        yield from _details(f"{prefix} {name}".strip().replace("_", " "), inner)
