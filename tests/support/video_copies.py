"""Outputs written as the program writes them, in one segment; copies of videos with all frames."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.open_output import open_output
from vidrestore.settings import CodecName
from vidrestore.types import Frame


def write_output(
    target: Path,
    frames: Iterable[Frame],
    *,
    info: VideoInfo,
    source_path: Path | None,
    **options: Any,
) -> list[str]:
    """Write frames in one segment; return the notes of the output.

    Args:
        target: What to write.
        frames: In presentation order.
        info: The source of the frames.
        source_path: Where streams are copied from; None copies nothing.
        options: Of ``open_output``.
    """
    with (
        TemporaryDirectory() as folder,
        open_output(target, info=info, source_path=source_path, **options) as output,
    ):
        writer = output.open_segment(Path(folder) / "segment")
        try:
            for frame in frames:
                writer.write(frame)
            files = writer.finish()
        except BaseException:
            writer.abort()
            raise
        output.assemble([files])
    return list(dict.fromkeys([*writer.notes, *output.notes]))


def copy_video(
    source: Path,
    target: Path,
    *,
    codec: CodecName = "ffv1",
    start_seconds: float | None = None,
    end_seconds: float | None = None,
    **options: Any,
) -> list[str]:
    """Copy a video, an image sequence or an image with its frames; return the notes."""
    with open_source(source, start_seconds=start_seconds, end_seconds=end_seconds) as frames:
        return write_output(
            target,
            frames,
            info=frames.info,
            time_range=frames.time_range,
            source_path=source,
            settings=EncoderSettings(codec=codec),
            **options,
        )


def frames_of(path: Path) -> list[Frame]:
    """Return all frames of a source."""
    with open_source(path) as source:
        return list(source)
