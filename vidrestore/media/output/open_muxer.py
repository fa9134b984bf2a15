"""Opens a video for writing; a refusal names options that work."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Protocol

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.color.code_points import HALF_FLOAT
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer import Muxer
from vidrestore.settings import CodecName
from vidrestore.types import DisplayGeometry
from vidrestore.types.time_range import TimeRange

_USUAL_SUFFIXES = (".mkv", ".mov", ".mp4", ".avi")
_USUAL_CODECS: tuple[CodecName, ...] = ("h264", "ffv1", "prores", "av1")


class Attempt(Protocol):
    """Tries to open an output."""

    def __call__(self, target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        """Return whether ``target`` can be opened, with ``codec`` unless it is None."""
        ...


def open_muxer(
    path: Path,
    *,
    target: Path,
    info: VideoInfo,
    geometry: DisplayGeometry,
    source_path: Path | None,
    settings: EncoderSettings,
    time_range: TimeRange,
    drop_unsupported: bool,
) -> Muxer:
    """Return an open ``Muxer``; a refusal also names options that work.

    Raises:
        MediaError: The file cannot be written.
        UnsupportedStreamError: The container does not support a stream, or no video does.
    """
    if info.color.transfer == HALF_FLOAT:
        raise UnsupportedStreamError(
            f"{target}: floating-point images lose precision in a video; "
            "write images with -o FOLDER"
        )

    make_muxer = partial(
        Muxer, info=info, geometry=geometry, source_path=source_path, time_range=time_range
    )

    def attempt(target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        encoder = settings if codec is None else EncoderSettings(codec=codec)
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / f"trial{target.suffix}"
            try:
                make_muxer(
                    trial, target=target, settings=encoder, drop_unsupported=drop_unsupported
                ).close()
            except MediaError:
                return False
        return True

    try:
        return make_muxer(path, target=target, settings=settings, drop_unsupported=drop_unsupported)
    except UnsupportedStreamError as error:
        raise UnsupportedStreamError(f"{error}; use {advice(target, info, attempt)}") from error


def advice(target: Path, info: VideoInfo, attempt: Attempt) -> str:
    """Return options of the command line that work for a film.

    A container that supports everything comes first, then fewer streams or another codec.

    Args:
        target: The refused output.
        info: The source.
        attempt: Tries to open an output.
    """
    source_suffix = info.path.suffix.lower()
    suffixes = dict.fromkeys((".mkv", source_suffix, *_USUAL_SUFFIXES))
    others = [
        target.with_suffix(suffix)
        for suffix in suffixes
        if suffix in CONTAINERS and suffix != target.suffix.lower()
    ]
    options: list[str] = []
    complete = next((p for p in others if attempt(p, None, drop_unsupported=False)), None)
    if complete is not None:
        options.append(f"-o {complete.name}")
    if attempt(target, None, drop_unsupported=True):
        options.append("--drop-unsupported")
    codec = next((c for c in _USUAL_CODECS if attempt(target, c, drop_unsupported=False)), None)
    if codec is not None:
        options.append(f"--codec {codec}")
    if not options:
        fallback = next((p for p in others if attempt(p, None, drop_unsupported=True)), None)
        options.append(
            f"-o {fallback.name} --drop-unsupported"
            if fallback is not None
            else "a folder for the frames alone: -o FOLDER"
        )
    return " or ".join(options)
