"""Info about a film, an image sequence or an image, before its frames are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

from vidrestore.media.color.hdr_metadata import HdrMetadata
from vidrestore.media.file_kinds import SourceKind, kind_of_source
from vidrestore.storage.source_path import checked_source
from vidrestore.types import ColorTags, DisplayGeometry, PixelFormat

StreamKind: TypeAlias = Literal["video", "audio", "subtitle", "data", "attachment", "unknown"]
FieldOrder: TypeAlias = Literal["progressive", "top first", "bottom first", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """One stream of a file."""

    index: int
    kind: StreamKind
    codec: str | None
    """FFmpeg's name of the codec; None if FFmpeg does not know it."""
    language: str | None = None
    title: str | None = None
    default: bool = False
    is_cover: bool = False
    """Whether it is cover art."""
    start_seconds: Fraction | None = None
    bit_rate: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    sample_rate_hz: int | None = None
    file_name: str | None = None
    """File name of an attachment."""

    def __str__(self) -> str:
        """Return what identifies the stream: ``stream 2 (subtitle, subrip, eng)``."""
        parts = [self.kind, self.codec, self.language, self.title or self.file_name]
        return f"stream {self.index} ({', '.join(part for part in parts if part)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of the source, on the timeline of its frames."""

    start_seconds: Fraction
    end_seconds: Fraction
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of a transport stream; ISO/IEC 13818-1, 2.4.4."""

    number: int
    name: str | None = None
    """Name of the service."""
    provider: str | None = None
    stream_indexes: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return what identifies the program: ``42 (News)``."""
        return f"{self.number}" if self.name is None else f"{self.number} ({self.name})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Properties of a source, from its headers and first frame."""

    path: Path
    kind: SourceKind
    container: str
    """FFmpeg's name of the container, or the suffix of the images."""
    geometry: DisplayGeometry
    pixel_format_name: str
    """FFmpeg's name of the decoder's pixel format."""
    pixel_format: PixelFormat
    """Planes of the frames, with the samples of ``pixel_format_name``."""
    color: ColorTags
    side_data: HdrMetadata = field(default_factory=HdrMetadata)
    """HDR metadata of the first frame."""
    time_base: Fraction
    """Seconds per tick of the frames' timestamps."""
    origin_seconds: Fraction = Fraction(0)
    """Start of the timeline: the first timestamp of MPEG program and transport streams, else 0."""
    duration_seconds: float | None = None
    average_rate: Fraction | None = None
    """Frames per second."""
    frame_count_estimate: int | None = None
    frames_before_key: int = 0
    """Frames at the start that cannot be decoded: they need others that were cut off."""
    variable_rate: bool | None = None
    """Whether the first frames are unevenly spaced; None if there are too few."""
    field_order: FieldOrder = "unknown"
    codec: str
    bit_rate: int | None = None
    video_stream_index: int = 0
    streams: tuple[StreamInfo, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    metadata: Mapping[str, str]
    timecode: str | None = None
    """Timecode of the first frame, as written in the file."""
    reel_name: str | None = None
    programs: tuple[Program, ...] = ()
    """Programs of a transport stream."""
    program: Program | None = None
    """The program of the video stream."""

    @property
    def other_program_streams(self) -> frozenset[int]:
        """Indexes of streams that belong only to other programs."""
        if self.program is None:
            return frozenset()
        others = {index for program in self.programs for index in program.stream_indexes}
        return frozenset(others.difference(self.program.stream_indexes))

    @property
    def is_folder(self) -> bool:
        """Whether this is an image sequence."""
        return self.kind == "folder"

    @property
    def format_text(self) -> str:
        """Size and pixel format in words: ``720x576 yuv420p``."""
        height, width = self.geometry.coded_hw
        return f"{width}x{height} {self.pixel_format_name}"

    @property
    def bit_depth(self) -> int:
        """Significant bits per sample."""
        return self.pixel_format.bit_depth


DEFAULT_IMAGE_RATE = Fraction(25)
"""Frames per second of an image sequence, which has no timestamps."""


def probe(path: Path, *, fps: Fraction = DEFAULT_IMAGE_RATE) -> VideoInfo:
    """Return the info of the source at ``path``; only the first frame is decoded.

    Args:
        path: A film, an image sequence, or an image.
        fps: Frames per second of an image sequence.

    Raises:
        MediaError: It is missing, empty, damaged, or of an unknown format.
    """
    # Imported here, because these modules import the classes above.
    from vidrestore.media.input.folder import probe_images
    from vidrestore.media.input.probe import probe_video

    path = checked_source(path)
    if kind_of_source(path) == "film":
        return probe_video(path)
    return probe_images(path, fps=fps)
