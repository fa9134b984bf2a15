"""Writes frames to standard output as YUV4MPEG2, segment by segment."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.color.code_points import CHROMA_LEFT, HALF_FLOAT
from vidrestore.media.color.pixel_conversion import (
    convert_frame,
    converted_color,
    describe_change,
    loss_between,
)
from vidrestore.media.color.pixel_formats import PLANAR
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.media.y4m import COLOR_SPACES, FRAME, Y4mHeader
from vidrestore.storage.standard_streams import StandardOutput
from vidrestore.types import ColorTags, DisplayGeometry, Frame, PixelFormat

_DEFAULT_RATE = Fraction(25)
_UNSPECIFIED = (0, 2)


def y4m_format(source: PixelFormat) -> PixelFormat:
    """Return the pixel format of YUV4MPEG2 that loses least of another, if possible nothing."""
    formats = [PLANAR[name] for name in COLOR_SPACES.values()]
    return min(formats, key=lambda candidate: loss_between(source, candidate))


class Y4mStream:
    """The stream that all segments are written to; its header is written with the first frame."""

    def __init__(self, info: VideoInfo, geometry: DisplayGeometry) -> None:
        """Open standard output.

        Args:
            info: The source of the frames.
            geometry: Display geometry of the frames.

        Raises:
            MediaError: Standard output is closed, or a terminal.
            UnsupportedStreamError: The frames are floating-point images.
        """
        if info.color.transfer == HALF_FLOAT:
            raise UnsupportedStreamError(
                "-o -: floating-point images lose precision in a video; write images with -o FOLDER"
            )
        self._output = StandardOutput()
        self._format = y4m_format(info.pixel_format)
        color = converted_color(info.color, info.pixel_format, self._format)
        rate = info.average_rate
        self._header: bytes | None = Y4mHeader(
            coded_hw=geometry.coded_hw,
            pixel_format=self._format,
            frame_rate=rate or _DEFAULT_RATE,
            field_order=info.field_order,
            sample_aspect_ratio=geometry.sample_aspect_ratio,
            chroma_location=color.chroma_location,
            full_range=color.full_range if color.range_known else None,
        ).to_line()
        self._frames = self._interlaced_frames = 0
        self._notes = _loss_notes(info, geometry, self._format, color)

    def write(self, frame: Frame) -> None:
        """Write a frame.

        Raises:
            PipeClosedError: The reading program closed the pipe.
            MediaError: Writing fails for another reason.
        """
        if self._header is not None:
            self._output.write(self._header)
            self._header = None
        self._frames += 1
        self._interlaced_frames += frame.interlaced
        self._output.write(FRAME + b"\n")
        for plane in convert_frame(frame, self._format).planes:
            little_endian = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
            self._output.write(little_endian.data)

    @property
    def notes(self) -> list[str]:
        """What a user should know about the stream."""
        if self._interlaced_frames in (0, self._frames):
            return self._notes
        return [
            *self._notes,
            f"{self._interlaced_frames} of {self._frames} frames are flagged as interlaced; "
            "YUV4MPEG2 can flag only all frames or none",
        ]


class Y4mSegmentWriter(SegmentWriter):
    """Writes the frames of one segment to the stream; there is no file."""

    def __init__(self, stream: Y4mStream, target: Path) -> None:
        self._stream = stream
        super().__init__(target, notes=[])

    def abort(self) -> None:
        """Stop at once, without waiting for a frame that nobody reads."""
        self._background_writer.abandon(wait=False)

    def _write_frame(self, frame: Frame) -> None:
        self._stream.write(frame)

    def _finish_files(self) -> tuple[Path, ...]:
        return ()

    def _close(self) -> None:
        """Do nothing: the next segment continues the stream."""


def _loss_notes(
    info: VideoInfo, geometry: DisplayGeometry, planar: PixelFormat, color: ColorTags
) -> list[str]:
    """Return notes on what YUV4MPEG2 cannot store of a source."""
    notes: list[str] = []
    if planar != info.pixel_format:
        loss = loss_between(info.pixel_format, planar)
        notes.append(describe_change(info.pixel_format, planar, loss))
    dropped = [str(stream) for stream in info.streams if stream.index != info.video_stream_index]
    dropped += ["the chapters"] if info.chapters else []
    dropped += ["the timecode"] if info.timecode else []
    if info.side_data.is_static or info.side_data.unsupported:
        dropped.append("HDR metadata")
    if dropped:
        notes.append(f"standard output has only frames: {', '.join(dropped)} dropped")
    if {color.matrix, color.primaries, color.transfer} - {*_UNSPECIFIED}:
        notes.append(
            "YUV4MPEG2 cannot store matrix, primaries or transfer: pass them to the program that "
            f"reads it (-colorspace {color.matrix}, -color_primaries {color.primaries}, "
            f"-color_trc {color.transfer})"
        )
    is_deep_420 = planar.chroma_shift_xy == (1, 1) and planar.bit_depth > 8
    if is_deep_420 and color.chroma_location > CHROMA_LEFT:
        notes.append("YUV4MPEG2 with more than 8 bits cannot store the chroma location")
    if info.variable_rate:
        notes.append("YUV4MPEG2 has no timestamps: the uneven times of the frames are dropped")
    if geometry.quarter_turns or geometry.mirrored:
        notes.append("YUV4MPEG2 cannot store the rotation: the frames are shown unrotated")
    return notes
