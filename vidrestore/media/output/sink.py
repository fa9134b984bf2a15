"""What the rest of the package sees of an output, and ``open_sink``."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from vidrestore.errors import MediaError
from vidrestore.media.input.clock import TimeRange
from vidrestore.media.input.folder import PICTURE_SUFFIXES, is_picture_name
from vidrestore.media.input.source import Source
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import container_of
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.image_writer import ImageWriter
from vidrestore.media.output.writer import FilmSink
from vidrestore.storage.atomic_output import TempOutput, atomic_file, atomic_folder, check_target
from vidrestore.types import DisplayGeometry, Frame


class Sink(Protocol):
    """Takes frames in presentation order."""

    @property
    def notes(self) -> list[str]:
        """What a user should know: formats that had to change, streams left out, ..."""
        ...

    @property
    def frame_count(self) -> int:
        """Frames taken so far."""
        ...

    @property
    def encode_seconds(self) -> float:
        """How long frames were encoded so far, beside everything else."""
        ...

    def write(self, frame: Frame) -> None:
        """Take a frame.

        Raises:
            MediaError: Writing failed, of this frame or of one before.
        """
        ...


@contextmanager
def open_sink(
    target: Path,
    *,
    source: Source | VideoInfo,
    source_path: Path | None,
    settings: EncoderSettings | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    geometry: DisplayGeometry | None = None,
) -> Generator[Sink]:
    """Open an output that appears under its name when the block ends, and only if it ends well.

    The suffix of ``target`` chooses the container; without one, or where it is a folder, frames
    become pictures in it. Without a single frame, nothing is published.

    Args:
        target: What to write.
        source: Where the frames come from: their format, clock, colour and the part wanted.
        source_path: Where streams, chapters and metadata are copied from; None copies nothing.
        settings: The encoder of films.
        overwrite: Replace what is there.
        drop_unsupported: Leave out streams that the container cannot hold, and note it.
        geometry: Of the frames written, where it is not the source's.

    Raises:
        MediaError: The target is refused or cannot be written.
        UnsupportedStreamError: The container cannot hold a stream.
    """
    target = Path(target)
    info, cut = (
        (source, TimeRange()) if isinstance(source, VideoInfo) else (source.info, source.cut)
    )
    shape = geometry or info.geometry
    check_target(target, source_path=source_path or info.path, overwrite=overwrite)
    kind = kind_of_output(target, info)
    with _pending(target, kind, overwrite=overwrite) as pending:
        sink: ImageWriter | FilmSink
        if kind == "film":
            sink = FilmSink(
                pending.path,
                target=target,
                info=info,
                geometry=shape,
                source_path=source_path,
                settings=settings or EncoderSettings(),
                cut=cut,
                drop_unsupported=drop_unsupported,
            )
        else:
            sink = ImageWriter(pending.path, target=target, info=info, geometry=shape)
        try:
            yield sink
            sink.finish()
            pending.whole = sink.frame_count > 0
        except BaseException:
            sink.abandon()
            raise
        finally:
            sink.close()


def _pending(target: Path, kind: str, *, overwrite: bool) -> AbstractContextManager[TempOutput]:
    if kind == "folder":
        return atomic_folder(target)
    return atomic_file(target, overwrite=overwrite)


def kind_of_output(target: Path, info: VideoInfo) -> str:
    """Return ``film``, ``folder`` or ``picture``.

    Raises:
        MediaError: It is a picture for a film, or of an unknown kind.
    """
    if target.is_dir() or not target.suffix:
        return "folder"
    if is_picture_name(target):
        if not info.is_picture:
            known = ", ".join(PICTURE_SUFFIXES)
            raise MediaError(
                f"{target}: one picture ({known}) cannot hold a film; name a film or a folder"
            )
        return "picture"
    container_of(target)
    return "film"
