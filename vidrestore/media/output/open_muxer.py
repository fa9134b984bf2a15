"""Opens a video for writing; a refusal names options that work."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vidrestore.errors import MediaError, UnsupportedStreamError
from vidrestore.media.color.code_points import HALF_FLOAT
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer import Muxer, MuxerConfig
from vidrestore.settings import CodecName

_USUAL_SUFFIXES = (".mkv", ".mov", ".mp4", ".avi")
_USUAL_CODECS: tuple[CodecName, ...] = ("h264", "ffv1", "prores", "av1")


class Attempt(Protocol):
    """Tries to open an output."""

    def __call__(self, target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        """Return whether ``target`` can be opened, with ``codec`` unless it is None."""
        ...


def open_muxer(path: Path, config: MuxerConfig) -> Muxer:
    """Return an open ``Muxer``; a refusal also names options that work.

    Raises:
        MediaError: The file cannot be written.
        UnsupportedStreamError: The container does not support a stream, or no video does.
    """
    if config.info.color.transfer == HALF_FLOAT:
        raise UnsupportedStreamError(
            f"{config.target}: floating-point images lose precision in a video; "
            "write images with -o FOLDER"
        )

    def attempt(target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        settings = config.settings if codec is None else EncoderSettings(codec=codec)
        changed = replace(
            config, target=target, settings=settings, drop_unsupported=drop_unsupported
        )
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / f"trial{target.suffix}"
            try:
                Muxer(trial, changed).close()
            except MediaError:
                return False
        return True

    try:
        return Muxer(path, config)
    except UnsupportedStreamError as error:
        ways = advice(config.target, config.info, attempt)
        raise UnsupportedStreamError(f"{error}; use {ways}") from error


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
