"""What the rest of the package sees of a source of frames, and ``open_source``."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from vidrestore.media.file_kinds import kind_of_source
from vidrestore.media.input.clock import TimeRange, exact_seconds
from vidrestore.media.input.folder import ImageSource
from vidrestore.media.input.reader import VideoSource
from vidrestore.media.input.video_info import DEFAULT_PICTURE_RATE, VideoInfo
from vidrestore.storage.source_path import checked_source
from vidrestore.types import Frame, Timestamp


class Source(Protocol):
    """Frames of a film, of a folder of pictures, or of a picture."""

    @property
    def info(self) -> VideoInfo:
        """What the source is."""
        ...

    @property
    def cut(self) -> TimeRange:
        """The part of it that is given."""
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
        """Yield the frames in presentation order, with the time stamps of the source."""
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


@contextmanager
def open_source(
    path: Path,
    *,
    start_seconds: Fraction | float | None = None,
    end_seconds: Fraction | float | None = None,
    fps: Fraction = DEFAULT_PICTURE_RATE,
) -> Generator[Source]:
    """Open a film, a folder of pictures, or a picture.

    Args:
        path: What to read.
        start_seconds: Leave out frames shown before; from where the film's clock starts.
        end_seconds: Leave out frames shown at or after.
        fps: Pictures per second of a folder.

    Raises:
        MediaError: It cannot be read.
        ConfigError: The times or the rate are impossible.
    """
    cut = TimeRange(
        start_seconds=exact_seconds(start_seconds), end_seconds=exact_seconds(end_seconds)
    )
    path = checked_source(path)
    is_video = kind_of_source(path) == "film"
    source = VideoSource(path, cut=cut) if is_video else ImageSource(path, cut=cut, fps=fps)
    try:
        yield source
    finally:
        source.close()
