"""The kinds of output: a video, an image sequence or image, and standard output.

An output opens the writers of its segments, and assembles the finished segments.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from shutil import copyfile
from typing import TypeAlias

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.image_writer import SEGMENT_TIMES, ImageSegmentWriter
from vidrestore.media.output.muxer import Muxer
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.media.output.segments import VideoSegmentWriter, write_segments
from vidrestore.media.output.y4m_writer import Y4mSegmentWriter, Y4mStream
from vidrestore.media.streams.audio_file import AUDIO_FILE, AudioPlan, folder_notes, write_audio
from vidrestore.media.streams.frame_times import TIMES_FILE, are_even, write_times
from vidrestore.types import DisplayGeometry

SegmentOpener: TypeAlias = Callable[[Path], SegmentWriter]
"""Opens the writer of a segment, also in a process that does not have the output open; its files
are the path and names that start with it."""


class Output(ABC):
    """An output that is being written."""

    def __init__(self, open_segment: SegmentOpener) -> None:
        self.is_assembled = False
        self.open_segment = open_segment

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
        super().__init__(partial(VideoSegmentWriter, config=muxer.encoder_config, target=target))
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
        super().__init__(lambda _path: Y4mSegmentWriter(stream, target))
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
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        is_single: bool,
        audio: AudioPlan | None,
    ) -> None:
        writer = partial(ImageSegmentWriter, target=target, info=info, geometry=geometry)
        super().__init__(partial(writer, is_single=is_single))
        self._path = path
        self._audio = audio
        self._info = info
        self._target = target
        self._is_single = is_single
        self._notes = [] if is_single else folder_notes(info, audio)

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
