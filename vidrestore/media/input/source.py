"""What the rest of the package sees of a source of frames, and ``open_source``."""

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
from vidrestore.media.input.video_info import DEFAULT_PICTURE_RATE, VideoInfo
from vidrestore.storage.source_path import checked_source
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import Frame, Timestamp
from vidrestore.types.time_range import TimeRange


class Source(Protocol):
    """Frames of a film, of a folder of pictures, or of a picture."""

    @property
    def info(self) -> VideoInfo:
        """What the source is."""
        ...

    @property
    def time_range(self) -> TimeRange:
        """The part of it that is read, in seconds from ``VideoInfo.origin_seconds``."""
        ...

    @property
    def damaged_packets(self) -> int:
        """Packets lost or damaged so far; the rest is given."""
        ...

    @property
    def repaired_timestamps(self) -> int:
        """Frames so far whose time was missing or did not move on."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in presentation order, with the timestamps of the source."""
        ...

    def frames_from(
        self, index: int, timestamp: Timestamp, *, seek: bool = True
    ) -> Iterator[Frame]:
        """Yield what iterating from the start yields from frame ``index`` on.

        Args:
            index: Of the first frame wanted.
            timestamp: Its time.
            seek: Whether decoding may begin close by; some sources always begin at their start.

        Raises:
            MediaError: There is no such frame.
        """
        ...


class SourceWrapper:
    """What every source made of another one takes from it."""

    source: Source
    """The source that frames are read from."""

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
) -> Generator[Source]:
    """Open a film, a folder of pictures, or a picture.

    Args:
        path: What to read; ``-`` stands for YUV4MPEG2 on standard input.
        start_seconds: Leave out frames presented earlier; from where the timeline starts.
        end_seconds: Leave out frames presented then or later.
        fps: Frames per second of a folder (25 where it is None) or of a raw stream or pipe that
            does not state its rate.
        program: Number of the program of a transport stream; None for the first with video.

    Raises:
        MediaError: It cannot be read, or is a raw stream of unknown rate.
        ConfigError: The times or the rate are impossible.
    """
    time_range = _time_range(exact_seconds(start_seconds), exact_seconds(end_seconds))
    source = _opened(path, time_range, fps, program)
    try:
        yield source
    finally:
        source.close()


def _opened(
    path: Path, time_range: TimeRange, fps: Fraction | None, program: int | None
) -> PipeSource | VideoSource | ImageSource:
    is_film = kind_of_source(path) == "film"
    if program is not None and (is_standard_stream(path) or not is_film):
        raise ConfigError(f"{path}: has no programs; leave out --program")
    if is_standard_stream(path):
        return PipeSource(path, time_range=time_range, fps=fps)
    path = checked_source(path)
    if is_film:
        return VideoSource(path, time_range=time_range, fps=fps, program=program)
    fps = DEFAULT_PICTURE_RATE if fps is None else fps
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
