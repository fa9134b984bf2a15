"""Opens an output; a refusal says which options would work, of those that were tried."""

import tempfile
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
    """Tries to open an output for a film."""

    def __call__(self, target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        """Whether a target can be opened, with another codec if one is named."""
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
    """Open an output, as ``Muxer``; a refusal also says which options would work.

    Raises:
        MediaError: The file cannot be written.
        UnsupportedStreamError: The container does not support a stream, or no video does.
    """
    if info.color.transfer == HALF_FLOAT:
        raise UnsupportedStreamError(
            f"{target}: floating-point images lose precision in a video; "
            "write images with -o FOLDER"
        )

    def opened(
        path: Path, target: Path, settings: EncoderSettings, *, drop_unsupported: bool
    ) -> Muxer:
        return Muxer(
            path,
            target=target,
            info=info,
            geometry=geometry,
            source_path=source_path,
            settings=settings,
            time_range=time_range,
            drop_unsupported=drop_unsupported,
        )

    def attempt(target: Path, codec: CodecName | None, *, drop_unsupported: bool) -> bool:
        encoder = settings if codec is None else EncoderSettings(codec=codec)
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / f"trial{target.suffix}"
            try:
                opened(trial, target, encoder, drop_unsupported=drop_unsupported).close()
            except MediaError:
                return False
        return True

    try:
        return opened(path, target, settings, drop_unsupported=drop_unsupported)
    except UnsupportedStreamError as error:
        raise UnsupportedStreamError(f"{error}; use {advice(target, info, attempt)}") from error


def advice(target: Path, info: VideoInfo, attempt: Attempt) -> str:
    """Return options of the command line that work for a film, where ``target`` does not.

    Another container that supports everything comes first, then the same one with less.

    Args:
        target: The refused output.
        info: Description of the source.
        attempt: Tries an output.
    """
    own = info.path.suffix.lower()
    suffixes = dict.fromkeys((".mkv", own, *_USUAL_SUFFIXES))
    others = [
        target.with_suffix(suffix)
        for suffix in suffixes
        if suffix in CONTAINERS and suffix != target.suffix.lower()
    ]
    ways: list[str] = []
    better = next((p for p in others if attempt(p, None, drop_unsupported=False)), None)
    if better is not None:
        ways.append(f"-o {better.name}")
    if attempt(target, None, drop_unsupported=True):
        ways.append("--drop-unsupported")
    codec = next((c for c in _USUAL_CODECS if attempt(target, c, drop_unsupported=False)), None)
    if codec is not None:
        ways.append(f"--codec {codec}")
    if not ways:
        smaller = next((p for p in others if attempt(p, None, drop_unsupported=True)), None)
        ways.append(
            f"-o {smaller.name} --drop-unsupported"
            if smaller is not None
            else "a folder, which holds the pictures alone: -o FOLDER"
        )
    return " or ".join(ways)
