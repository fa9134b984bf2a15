"""Opens an output: a video, an image sequence, an image, or standard output."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.media.file_kinds import IMAGE_SUFFIXES, SourceKind, kind_of_output
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import container_of
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer import MuxerConfig
from vidrestore.media.output.open_muxer import open_muxer
from vidrestore.media.output.outputs import (
    ImageOutput,
    Output,
    PipeOutput,
    VideoOutput,
)
from vidrestore.media.output.y4m_writer import Y4mStream
from vidrestore.media.streams.audio_file import AUDIO_FILE, plan_audio
from vidrestore.media.streams.frame_times import TIMES_FILE
from vidrestore.storage.atomic_output import atomic_file, atomic_folder, check_target
from vidrestore.storage.standard_streams import is_standard_stream
from vidrestore.types import DisplayGeometry
from vidrestore.types.time_range import TimeRange

_COMPANIONS = (AUDIO_FILE, TIMES_FILE)


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

    ``-`` is standard output: frames are written at once, as YUV4MPEG2. The suffix of ``target``
    chooses the container or the image format. A folder, or a name without suffix, is an image
    sequence. What cannot be written is refused before the first frame.

    Args:
        target: The output.
        info: The source of the frames: their format, timeline and color.
        source_path: Where streams, chapters and metadata are copied from; None copies nothing.
        time_range: The time range of the frames; None is all of the source.
        settings: The encoder of a video; None is the default.
        overwrite: Replace an existing output.
        drop_unsupported: Drop streams that the container does not support, and note it.
        geometry: Display geometry of the frames, if it differs from the source's.

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
        with (
            atomic_file(target, overwrite=overwrite)
            if is_single
            else atomic_folder(target, companions=_COMPANIONS if info.kind == "film" else ())
        ) as pending:
            audio = None
            if info.kind == "film" and source_path is not None:
                audio = plan_audio(info, source_path, target, time_range or TimeRange())
            images = ImageOutput(
                pending.path,
                target=target,
                info=info,
                geometry=geometry,
                is_single=is_single,
                audio=audio,
            )
            yield images
            pending.complete = images.is_assembled
        return
    with atomic_file(target, overwrite=overwrite) as pending:
        config = MuxerConfig(
            target=target,
            info=info,
            geometry=geometry,
            source_path=source_path,
            settings=settings or EncoderSettings(),
            time_range=time_range or TimeRange(),
            drop_unsupported=drop_unsupported,
        )
        muxer = open_muxer(pending.path, config)
        video = VideoOutput(muxer, target)
        try:
            yield video
            pending.complete = video.is_assembled
        finally:
            muxer.close()


def _checked_kind(target: Path, info: VideoInfo) -> SourceKind:
    """Return the kind of the output.

    Raises:
        MediaError: It is one image and the source a video, or its suffix is unknown.
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
