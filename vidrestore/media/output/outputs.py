"""The kinds of output: a video, an image sequence or image, and standard output.

An output has a factory for the writers of its segments, and assembles the finished segments.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from shutil import copyfile
from typing import Protocol

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.image_writer import SEGMENT_TIMES, ImageSegmentWriter
from vidrestore.media.output.muxer import Muxer
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.media.output.segments import VideoSegmentWriter, write_segments
from vidrestore.media.output.video_encoder import VideoEncoderConfig
from vidrestore.media.output.y4m_writer import Y4mSegmentFactory, Y4mStream
from vidrestore.media.streams.audio_file import AUDIO_FILE, AudioPlan, folder_notes, write_audio
from vidrestore.media.streams.frame_times import TIMES_FILE, are_even, write_times
from vidrestore.types import DisplayGeometry


class SegmentWriterFactory(Protocol):
    """Opens segments of an output, also in a process that does not have the output open."""

    def open_segment(self, path: Path) -> SegmentWriter:
        """Return a writer whose files are ``path`` and names that start with it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSegmentFactory:
    """Opens segments of a video: encoded packets."""

    config: VideoEncoderConfig
    target: Path
    """The output, as error messages name it."""

    def open_segment(self, path: Path) -> SegmentWriter:
        """Return a writer of packets."""
        return VideoSegmentWriter(path, config=self.config, target=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSegmentFactory:
    """Opens segments of an image sequence, or the only segment of a single image."""

    target: Path
    info: VideoInfo
    geometry: DisplayGeometry
    is_single: bool
    """Whether the output is one image and not a folder."""

    def open_segment(self, path: Path) -> SegmentWriter:
        """Return a writer of images into a folder, or of the single image."""
        return ImageSegmentWriter(
            path.with_name(path.name + self.target.suffix) if self.is_single else path,
            target=self.target,
            info=self.info,
            geometry=self.geometry,
            is_single=self.is_single,
        )


class Output(ABC):
    """An output that is being written."""

    def __init__(self, segment_factory: SegmentWriterFactory) -> None:
        self.is_assembled = False
        self.segment_factory = segment_factory
        """Opens segments, in this process or in others."""

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What a user should know: converted formats, dropped streams, ..."""

    def assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        """Write the output from all its segments; it is published when its block ends.

        Args:
            segments: Files that ``finish`` of each writer returned, in order; they stay unchanged.

        Raises:
            MediaError: A segment cannot be read, or the output cannot be written.
        """
        self._assemble(segments)
        self.is_assembled = True

    @abstractmethod
    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None: ...


class VideoOutput(Output):
    """A video file; its segments are encoded packets."""

    def __init__(self, muxer: Muxer, target: Path) -> None:
        super().__init__(VideoSegmentFactory(config=muxer.encoder_config, target=target))
        self._muxer = muxer

    @property
    def notes(self) -> list[str]:
        """What a user should know about the file."""
        return self._muxer.notes

    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        write_segments(self._muxer, [files[0] for files in segments])
        self._muxer.finish()


class PipeOutput(Output):
    """Standard output; its segments are written at once."""

    def __init__(self, stream: Y4mStream, target: Path) -> None:
        super().__init__(Y4mSegmentFactory(stream=stream, target=target))
        self._stream = stream

    @property
    def notes(self) -> list[str]:
        """What a user should know about the stream."""
        return self._stream.notes

    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        """Do nothing: everything is written."""


class ImageOutput(Output):
    """An image sequence in a folder, or a single image, which is one segment."""

    def __init__(
        self, path: Path, segment_factory: ImageSegmentFactory, audio: AudioPlan | None
    ) -> None:
        super().__init__(segment_factory)
        self._path = path
        self._audio = audio
        self._info = segment_factory.info
        self._target = segment_factory.target
        self._is_single = segment_factory.is_single
        self._notes = [] if self._is_single else folder_notes(segment_factory.info, audio)

    @property
    def notes(self) -> list[str]:
        """What a user should know about the folder."""
        return self._notes

    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        with media_errors(self._target, "write"):
            for path in (path for files in segments for path in files):
                if self._is_single:
                    copyfile(path, self._path)
                elif path.name != SEGMENT_TIMES:
                    _link_or_copy(path, self._path / path.name)
        if self._info.kind == "film":
            self._write_times([path for files in segments for path in files])
        if self._audio is not None and self._audio.stream_indexes:
            self._notes.extend(write_audio(self._audio, self._path / AUDIO_FILE, self._target))

    def _write_times(self, files: Sequence[Path]) -> None:
        """Write the times of a film's frames, on the timeline of its audio, if they are uneven."""
        info, audio = self._info, self._audio
        shift = info.origin_seconds
        if audio is not None:
            shift = audio.timeline.shift_seconds - audio.timeline.delay_seconds
        with media_errors(self._target, "write"):
            lines = [path.read_text("ascii") for path in files if path.name == SEGMENT_TIMES]
            times = [Fraction(line) - shift for text in lines for line in text.split()]
            if not are_even(times, info.average_rate, info.time_base):
                write_times(self._path / TIMES_FILE, times)
                self._notes.append(
                    f"the times of the frames are in {TIMES_FILE} (for mkvmerge --timestamps)"
                )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Some file systems have no links. If the disk is full, the copy fails as well.
        copyfile(source, target)
