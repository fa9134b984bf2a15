"""Outputs made of parts: each is written by itself, and the whole appears when all are there."""

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Protocol

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.image_writer import ImageWriter
from vidrestore.media.output.muxer import Muxer, VideoEncoderConfig
from vidrestore.media.output.segments import VideoSegmentWriter, write_segments
from vidrestore.media.output.sink import kind_of_output
from vidrestore.storage.atomic_output import atomic_file, atomic_folder, check_target
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import DisplayGeometry, Frame


class SegmentWriter(Protocol):
    """Takes the frames of one part, in presentation order."""

    @property
    def encode_seconds(self) -> float:
        """How long frames were encoded so far, beside everything else."""
        ...

    @property
    def notes(self) -> list[str]:
        """What a user should know of this part."""
        ...

    def write(self, frame: Frame) -> None:
        """Take a frame.

        Raises:
            MediaError: Writing failed, of this frame or of one before.
        """
        ...

    def finish(self) -> tuple[Path, ...]:
        """Write what is left; return the files of the part, whole and on the disk.

        Raises:
            MediaError: Writing failed.
        """
        ...

    def abandon(self) -> None:
        """Stop at once; what is written is of no use."""
        ...


class SegmentWriterFactory(Protocol):
    """Begins parts of an output; can be sent to another process, where the output is not open."""

    def part(self, path: Path) -> SegmentWriter:
        """Begin a part whose files are ``path`` and what is named after it."""
        ...


class Output(Protocol):
    """An output under way."""

    @property
    def maker(self) -> SegmentWriterFactory:
        """What begins its parts in another process."""
        ...

    @property
    def notes(self) -> list[str]:
        """What a user should know: formats that had to change, streams left out, ..."""
        ...

    def part(self, path: Path) -> SegmentWriter:
        """Begin a part whose files are ``path`` and what is named after it."""
        ...

    def assemble(self, parts: Sequence[Sequence[Path]]) -> None:
        """Make the whole of all parts in order; it appears when the block of it ends.

        Args:
            parts: What ``finish`` of each returned; they are left as they are.

        Raises:
            MediaError: A part cannot be read, or the whole not written.
        """
        ...


@contextmanager
def open_output(
    target: Path,
    *,
    source: Source,
    source_path: Path,
    settings: EncoderSettings,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    geometry: DisplayGeometry | None = None,
) -> Generator[Output]:
    """Open a film, a folder of pictures or a picture that appears under its name when it is whole.

    What ``open_sink`` refuses is refused here, too: before the first frame.

    Args:
        target: What to write.
        source: Where the frames come from: their format, clock, colour and the part wanted.
        source_path: Where streams, chapters and metadata are copied from.
        settings: The encoder of films.
        overwrite: Replace what is there.
        drop_unsupported: Leave out streams that the container cannot hold, and note it.
        geometry: Of the frames written, where it is not the source's.

    Raises:
        MediaError: The target is refused or cannot be written.
        UnsupportedStreamError: The container cannot hold a stream.
    """
    check_target(target, source_path=source_path, overwrite=overwrite)
    shape = geometry or source.info.geometry
    kind = kind_of_output(target, source.info)
    if kind == "folder":
        with atomic_folder(target) as pending:
            folder = FolderOutput(pending.path, target=target, info=source.info, geometry=shape)
            yield folder
            pending.whole = folder.assembled
        return
    with atomic_file(target, overwrite=overwrite) as pending:
        if kind == "picture":
            picture = ImageOutput(pending.path, target=target, info=source.info, geometry=shape)
            yield picture
            pending.whole = picture.assembled
            return
        film = VideoOutput(
            Muxer(
                pending.path,
                target=target,
                info=source.info,
                geometry=shape,
                source_path=source_path,
                settings=settings,
                cut=source.cut,
                drop_unsupported=drop_unsupported,
            ),
            target,
        )
        try:
            yield film
            pending.whole = film.assembled
        finally:
            film.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSegmentFactory:
    """Begins parts of a film."""

    plan: VideoEncoderConfig
    target: Path
    """What errors name."""

    def part(self, path: Path) -> SegmentWriter:
        """Begin a part: packets."""
        return VideoSegmentWriter(path, plan=self.plan, target=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSegmentFactory:
    """Begins parts of a folder of pictures, or the one of a picture."""

    target: Path
    info: VideoInfo
    geometry: DisplayGeometry
    single: bool = False
    """Whether the output is a picture and not a folder."""

    def part(self, path: Path) -> "ImageSegmentWriter":
        """Begin a part: pictures in a folder, or the picture."""
        return ImageSegmentWriter(
            path.with_name(path.name + self.target.suffix) if self.single else path,
            target=self.target,
            info=self.info,
            geometry=self.geometry,
            single=self.single,
        )


class VideoOutput:
    """A film: parts are packets."""

    def __init__(self, film: Muxer, target: Path) -> None:
        self.assembled = False
        self._film = film
        self._target = target

    @property
    def notes(self) -> list[str]:
        """What a user should know of the file."""
        return self._film.notes

    @property
    def maker(self) -> SegmentWriterFactory:
        """What begins parts of the film."""
        return VideoSegmentFactory(plan=self._film.plan, target=self._target)

    def part(self, path: Path) -> SegmentWriter:
        """Begin a part of the film."""
        return self.maker.part(path)

    def assemble(self, parts: Sequence[Sequence[Path]]) -> None:
        """Write the packets of all parts, and everything else of the source."""
        write_segments(self._film, [files[0] for files in parts])
        self._film.finish()
        self.assembled = True

    def close(self) -> None:
        """Close the files; safe to call twice."""
        self._film.close()


class FolderOutput:
    """A folder of pictures: parts are pictures."""

    def __init__(
        self, path: Path, *, target: Path, info: VideoInfo, geometry: DisplayGeometry
    ) -> None:
        self.assembled = False
        self.maker = ImageSegmentFactory(target=target, info=info, geometry=geometry)
        self._path = path
        self._target = target
        self._parts: list[ImageSegmentWriter] = []

    @property
    def notes(self) -> list[str]:
        """What a user should know of the pictures, each once."""
        return list(dict.fromkeys(note for part in self._parts for note in part.notes))

    def part(self, path: Path) -> SegmentWriter:
        """Begin a part of the folder."""
        part = self.maker.part(path)
        self._parts.append(part)
        return part

    def assemble(self, parts: Sequence[Sequence[Path]]) -> None:
        """Put the pictures of all parts into one folder; on the same disk that copies nothing."""
        with media_errors(self._target, "write"):
            for path in (path for files in parts for path in files):
                try:
                    os.link(path, self._path / path.name)
                except OSError:
                    # Not every file system has links. If the disk is full, the copy says so.
                    copyfile(path, self._path / path.name)
        self.assembled = True


class ImageOutput:
    """A single picture: its only part is itself."""

    def __init__(
        self, path: Path, *, target: Path, info: VideoInfo, geometry: DisplayGeometry
    ) -> None:
        self.assembled = False
        self.maker = ImageSegmentFactory(target=target, info=info, geometry=geometry, single=True)
        self.notes: list[str] = []
        self._path = path
        self._target = target

    def part(self, path: Path) -> SegmentWriter:
        """Begin the picture."""
        part = self.maker.part(path)
        self.notes = part.notes
        return part

    def assemble(self, parts: Sequence[Sequence[Path]]) -> None:
        """Copy the picture."""
        with media_errors(self._target, "write"):
            for path in (path for files in parts for path in files):
                copyfile(path, self._path)
        self.assembled = True


class ImageSegmentWriter:
    """Some pictures of a folder, or one by itself."""

    def __init__(
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        single: bool = False,
    ) -> None:
        self._path = path
        self._target = target
        with media_errors(target, "write"):
            if single:
                path.touch()
            else:
                path.mkdir()
        self._sink = ImageWriter(path, target=target, info=info, geometry=geometry)

    @property
    def notes(self) -> list[str]:
        """What a user should know of these pictures."""
        return self._sink.notes

    @property
    def encode_seconds(self) -> float:
        """How long pictures were written so far, on the thread of the sink."""
        return self._sink.encode_seconds

    def write(self, frame: Frame) -> None:
        """Queue a frame."""
        self._sink.write(frame)

    def finish(self) -> tuple[Path, ...]:
        """Wait until every picture is on the disk."""
        self._sink.finish()
        self._sink.close()
        files = tuple(sorted(self._path.iterdir())) if self._path.is_dir() else (self._path,)
        with media_errors(self._target, "write"):
            for path in files:
                with path.open("rb+") as file:
                    flush_and_sync(file)
        return files

    def abandon(self) -> None:
        """Stop at once."""
        self._sink.abandon()
        self._sink.close()
