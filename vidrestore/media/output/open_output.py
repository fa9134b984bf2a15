"""Open an output: make the writers of its segments, and assemble the finished segments."""

import os
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from shutil import copyfile
from typing import Protocol

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import IMAGE_SUFFIXES, SourceKind, kind_of_output
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.advice import open_muxer
from vidrestore.media.output.containers import container_of
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.image_writer import SEGMENT_TIMES, ImageSegmentWriter
from vidrestore.media.output.muxer import Muxer, VideoEncoderConfig
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.media.output.segments import VideoSegmentWriter, write_segments
from vidrestore.media.output.y4m_writer import Y4mSegmentFactory, Y4mStream
from vidrestore.media.streams.frame_times import TIMES_FILE, are_even, write_times
from vidrestore.media.streams.sound_file import (
    SOUND_FILE,
    SoundPlan,
    folder_notes,
    plan_sound,
    write_sound,
)
from vidrestore.storage.atomic_output import atomic_file, atomic_folder, check_target
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import DisplayGeometry
from vidrestore.types.time_range import TimeRange

_COMPANIONS = (SOUND_FILE, TIMES_FILE)


class SegmentWriterFactory(Protocol):
    """Opens segments of an output; can be sent to a process in which the output is not open."""

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
        """Opens segments in other processes."""

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What a user should know: changed formats, dropped streams, ..."""

    def open_segment(self, path: Path) -> SegmentWriter:
        """Return a writer whose files are ``path`` and names that start with it."""
        return self.segment_factory.open_segment(path)

    def assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        """Write the output from all its segments; it is published when its block ends.

        Args:
            segments: What ``finish`` of each writer returned, in order; the files stay unchanged.

        Raises:
            MediaError: A segment cannot be read, or the output cannot be written.
        """
        self._assemble(segments)
        self.is_assembled = True

    @abstractmethod
    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None: ...


@contextmanager
def open_output(
    target: Path,
    *,
    info: VideoInfo,
    source_path: Path | None,
    time_range: TimeRange | None = None,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    geometry: DisplayGeometry | None = None,
) -> Generator[Output]:
    """Open a video, an image sequence or an image; it gets its name when it is complete.

    ``-`` stands for standard output, where frames are written at once, as YUV4MPEG2. The suffix of
    ``target`` chooses the container or the image format. Without a suffix, or where ``target`` is a
    folder, an image sequence is written. What cannot be written is refused before the first frame.

    Args:
        target: What to write.
        info: The source of the frames: their format, timeline and color.
        source_path: Where streams, chapters and metadata are copied from; None copies nothing.
        time_range: Which part of the source the frames are; None is all of it.
        settings: The encoder of a video; None is the default.
        overwrite: Replace an existing output.
        drop_unsupported: Drop streams that the container does not support, and note it.
        geometry: Of the frames, where it is not the source's.

    Raises:
        MediaError: The target is refused or cannot be written.
        UnsupportedStreamError: The container does not support a stream.
    """
    geometry = geometry or info.geometry
    if is_standard_stream(target):
        yield PipeOutput(Y4mStream(info, geometry), target)
        return
    check_target(target, source_path=source_path or info.path, overwrite=overwrite)
    kind = _checked_kind(target, info)
    if kind != "film":
        is_single = kind == "picture"
        factory = ImageSegmentFactory(
            target=target, info=info, geometry=geometry, is_single=is_single
        )
        with (
            atomic_file(target, overwrite=overwrite)
            if is_single
            else atomic_folder(target, companions=_COMPANIONS if info.kind == "film" else ())
        ) as pending:
            sound = None
            if info.kind == "film" and source_path is not None:
                sound = plan_sound(info, source_path, target, time_range or TimeRange())
            images = ImageOutput(pending.path, factory, sound)
            yield images
            pending.complete = images.is_assembled
        return
    with atomic_file(target, overwrite=overwrite) as pending:
        muxer = open_muxer(
            pending.path,
            target=target,
            info=info,
            geometry=geometry,
            source_path=source_path,
            settings=settings or EncoderSettings(),
            time_range=time_range or TimeRange(),
            drop_unsupported=drop_unsupported,
        )
        video = VideoOutput(muxer, target)
        try:
            yield video
            pending.complete = video.is_assembled
        finally:
            muxer.close()


def _checked_kind(target: Path, info: VideoInfo) -> SourceKind:
    """Return what to write.

    Raises:
        MediaError: The target is one image and the source a video, or its suffix is unknown.
    """
    kind = kind_of_output(target)
    if kind == "film":
        container_of(target)
    elif kind == "picture" and info.kind != "picture":
        known = ", ".join(IMAGE_SUFFIXES)
        raise MediaError(
            f"{target}: a video cannot be written to one image ({known}); "
            "name a video file or a folder"
        )
    return kind


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
    """Standard output; its segments are written when they are made."""

    def __init__(self, stream: Y4mStream, target: Path) -> None:
        super().__init__(Y4mSegmentFactory(stream=stream, target=target))
        self._stream = stream

    @property
    def notes(self) -> list[str]:
        """What a user should know about the stream."""
        return self._stream.notes

    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        """Do nothing: all is written."""


class ImageOutput(Output):
    """An image sequence in a folder, or a single image, which is one segment."""

    def __init__(
        self, path: Path, segment_factory: ImageSegmentFactory, sound: SoundPlan | None
    ) -> None:
        super().__init__(segment_factory)
        self._path = path
        self._sound = sound
        self._info = segment_factory.info
        self._target = segment_factory.target
        self._is_single = segment_factory.is_single
        self._notes: list[list[str]] = [
            [] if self._is_single else folder_notes(segment_factory.info, sound)
        ]

    @property
    def notes(self) -> list[str]:
        """What a user should know about the images, each note once."""
        return list(dict.fromkeys(note for notes in self._notes for note in notes))

    def open_segment(self, path: Path) -> SegmentWriter:
        """Return a writer of images."""
        writer = super().open_segment(path)
        self._notes.append(writer.notes)
        return writer

    def _assemble(self, segments: Sequence[Sequence[Path]]) -> None:
        with media_errors(self._target, "write"):
            for path in (path for files in segments for path in files):
                if self._is_single:
                    copyfile(path, self._path)
                elif path.name != SEGMENT_TIMES:
                    _link_or_copy(path, self._path / path.name)
        if self._info.kind == "film":
            self._write_times([path for files in segments for path in files])
        if self._sound is not None and self._sound.stream_indexes:
            self._notes.append(write_sound(self._sound, self._path / SOUND_FILE, self._target))

    def _write_times(self, files: Sequence[Path]) -> None:
        """Write the times of a film's frames on the timeline of its sound, if they are uneven."""
        info, sound = self._info, self._sound
        shift = info.origin_seconds
        if sound is not None:
            shift = sound.timeline.shift_seconds - sound.timeline.delay_seconds
        with media_errors(self._target, "write"):
            lines = [path.read_text("ascii") for path in files if path.name == SEGMENT_TIMES]
            times = [Fraction(line) - shift for text in lines for line in text.split()]
            if not are_even(times, info.average_rate, info.time_base):
                write_times(self._path / TIMES_FILE, times)
                self._notes.append(
                    [f"the times of the frames are in {TIMES_FILE} (for mkvmerge --timestamps)"]
                )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Not every file system has links. If the disk is full, the copy reports it.
        copyfile(source, target)
