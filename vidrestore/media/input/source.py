"""The protocol of a source of frames, and ``open_source``."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from vidrestore.errors import ConfigError
from vidrestore.media.file_kinds import kind_of_source
from vidrestore.media.input.clock import exact_seconds
from vidrestore.media.input.folder import ImageSource
from vidrestore.media.input.pipe_source import PipeSource
from vidrestore.media.input.reader import VideoSource
from vidrestore.media.input.video_info import DEFAULT_IMAGE_RATE, VideoInfo
from vidrestore.storage.source_path import checked_source
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange


class Source(Protocol):
    """Frames of a film, of an image sequence, or of an image."""

    @property
    def info(self) -> VideoInfo:
        """Info about the source."""
        ...

    @property
    def time_range(self) -> TimeRange:
        """The selected frames, in seconds from ``VideoInfo.origin_seconds``."""
        ...

    @property
    def damaged_packets(self) -> int:
        """Packets lost or damaged so far; the others are decoded."""
        ...

    @property
    def repaired_timestamps(self) -> int:
        """Frames so far whose timestamp was missing or did not increase."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in presentation order, with the timestamps of the source."""
        ...

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Args:
            index: Number of the first frame.
            timestamp: Its timestamp.
            seek: Whether decoding may start near it; some sources always start at the first frame.

        Raises:
            MediaError: There is no such frame.
        """
        ...


class SourceWrapper:
    """Base of a source whose frames are made from those of another source."""

    source: Source
    """Where frames are read from."""

    @property
    def time_range(self) -> TimeRange:
        """The source's."""
        return self.source.time_range

    @property
    def damaged_packets(self) -> int:
        """The source's."""
        return self.source.damaged_packets

    @property
    def repaired_timestamps(self) -> int:
        """The source's."""
        return self.source.repaired_timestamps


@contextmanager
def open_source(
    path: Path,
    *,
    start_seconds: Fraction | float | None = None,
    end_seconds: Fraction | float | None = None,
    fps: Fraction | None = None,
    program: int | None = None,
    gpu: int | None = None,
) -> Generator[Source]:
    """Open a film, an image sequence, or an image.

    Args:
        path: The source; ``-`` is YUV4MPEG2 on standard input.
        start_seconds: Time of the first frame, from the start of the timeline.
        end_seconds: Time after the last frame.
        fps: Frames per second of an image sequence (None: 25), or of a raw stream or pipe that
            does not state its rate.
        program: Number of the program of a transport stream; None for the first with video.
        gpu: Number of the GPU that decodes a film; None for the processor.

    Raises:
        MediaError: It cannot be read, is a raw stream of unknown rate, or nothing for a GPU.
        DeviceError: The GPU cannot decode it.
        ConfigError: The times or the rate are impossible.
    """
    time_range = _time_range(exact_seconds(start_seconds), exact_seconds(end_seconds))
    source = _open(path, time_range, fps, program, gpu)
    try:
        yield source
    finally:
        source.close()


def _open(
    path: Path, time_range: TimeRange, fps: Fraction | None, program: int | None, gpu: int | None
) -> PipeSource | VideoSource | ImageSource:
    is_video = kind_of_source(path) == "film"
    if program is not None and (is_standard_stream(path) or not is_video):
        raise ConfigError(f"{path}: it has no programs; leave out --program")
    if gpu is not None and (is_standard_stream(path) or not is_video):
        raise ConfigError(f"{path}: only films are decoded by a GPU; leave out --hardware-decoding")
    if is_standard_stream(path):
        return PipeSource(path, time_range=time_range, fps=fps)
    path = checked_source(path)
    if is_video:
        return VideoSource(path, time_range=time_range, fps=fps, program=program, gpu=gpu)
    fps = DEFAULT_IMAGE_RATE if fps is None else fps
    return ImageSource(path, time_range=time_range, fps=fps)


def _time_range(start: Fraction | None, end: Fraction | None) -> TimeRange:
    first = start or Fraction(0)
    if first < 0:
        raise ConfigError(f"start must be >= 0 seconds, got {float(first):g}")
    if end is not None and end <= first:
        raise ConfigError(
            f"end must be later than start, got {float(first):g} to {float(end):g} seconds"
        )
    return TimeRange(start_seconds=start, end_seconds=end)
