"""Copies the audio of a film, packet for packet, into a file in the folder of its frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import CONTAINERS, muxer_options
from vidrestore.media.streams.copy_plan import CopyPlan
from vidrestore.media.streams.ffmpeg_remux import remux_with_ffmpeg
from vidrestore.media.streams.start_offsets import plan_timed_copy
from vidrestore.media.streams.stream_copy import StreamCopier
from vidrestore.media.streams.stream_metadata import copied_metadata, stream_tags
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types.time_range import TimeRange

AUDIO_FILE = "sound.mka"
"""Name of the file in the folder."""
AUDIO_CONTAINER = CONTAINERS[".mkv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPlan:
    """Which streams of a film are copied into the audio file, and their timeline."""

    source_path: Path
    streams: CopyPlan
    timeline: CopyTimeline
    """Timeline of the streams, and of the frames if their times are written."""
    time_base: Fraction
    """Time base of the frames."""
    source_format: str
    """FFmpeg's name of the source's container."""

    @property
    def stream_indexes(self) -> tuple[int, ...]:
        """Indexes of all copied streams; the file is not written if there are none."""
        return (*self.streams.copied, *self.streams.remuxed)


def plan_audio(
    info: VideoInfo, source_path: Path, target: Path, time_range: TimeRange
) -> AudioPlan:
    """Plan the audio file; audio that Matroska does not support is dropped.

    Args:
        info: Info of the source.
        source_path: The source.
        target: The folder of frames.
        time_range: The selected time range of the source.

    Raises:
        MediaError: The source cannot be read.
    """
    with open_container(source_path) as source, media_errors(source_path):
        streams, timeline = plan_timed_copy(
            source,
            source_path,
            info,
            AUDIO_CONTAINER,
            target / AUDIO_FILE,
            time_range=time_range,
            drop_unsupported=True,
            kinds=("audio",),
        )
    return AudioPlan(
        source_path=source_path,
        streams=streams,
        timeline=timeline,
        time_base=info.time_base,
        source_format=info.container,
    )


def folder_notes(info: VideoInfo, audio: AudioPlan | None) -> list[str]:
    """Return notes on the other streams of a film whose frames go to a folder."""
    if info.kind != "film":
        return []
    copied = () if audio is None else audio.stream_indexes
    kept_indexes = (info.video_stream_index, *copied)
    dropped = [str(stream) for stream in info.streams if stream.index not in kept_indexes]
    if info.chapters:
        dropped.append("the chapters")
    notes = [f"a folder has only frames and audio: {', '.join(dropped)} dropped"] if dropped else []
    if copied:
        notes.append(f"the audio is in {AUDIO_FILE} in the folder")
    return [*notes, *(() if audio is None else audio.streams.notes)]


def write_audio(plan: AudioPlan, path: Path, target: Path) -> list[str]:
    """Write the audio file; return notes on its streams.

    Args:
        plan: A plan with at least one stream.
        path: The file to write.
        target: The output, as error messages name it.

    Raises:
        MediaError: The source cannot be read, or the file cannot be written.
    """
    spec = AUDIO_CONTAINER
    with open_container(plan.source_path) as source, media_errors(target, "write"):
        tags = copied_metadata(dict(source.metadata))
        streams = [source.streams[index] for index in plan.streams.copied]
        bases = [stream.time_base for stream in streams if stream.time_base]
        options = muxer_options(spec, plan.time_base, bases, tags)
        notes: list[str] = []
        if streams:
            copier = _copy(source, streams, plan.timeline, path, tags, options)
            notes += copier.notes
        if plan.streams.remuxed:
            _remux(plan, path, options)
        with path.open("rb+") as file:
            flush_and_sync(file)
    return notes


def _copy(
    source: InputContainer,
    streams: Sequence[Stream],
    timeline: CopyTimeline,
    path: Path,
    tags: Mapping[str, str],
    options: dict[str, str],
) -> StreamCopier:
    spec = AUDIO_CONTAINER
    with av.open(f"file:{path}", "w", format=spec.format, container_options=options) as output:
        copier = StreamCopier(source, output, timeline, spec.is_mov)
        for stream in streams:
            copier.add(stream, spec, stream_tags(stream, source, spec))
        output.metadata.update(tags)
        output.start_encoding()
        copier.copy_until(None)
    return copier


def _remux(plan: AudioPlan, path: Path, options: dict[str, str]) -> None:
    """Add the streams that only the ffmpeg program can copy."""
    copied = path.with_name(f"{path.stem}.copied{path.suffix}") if plan.streams.copied else None
    if copied is not None:
        path.replace(copied)
    remux_with_ffmpeg(
        copied,
        plan.source_path,
        plan.streams.remuxed,
        path,
        spec=AUDIO_CONTAINER,
        timeline=plan.timeline,
        muxer_options=options,
        repeated_options=(),
        source_format=plan.source_format,
    )
    if copied is not None:
        copied.unlink()
