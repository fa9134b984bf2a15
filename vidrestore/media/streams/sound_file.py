"""The sound of a film whose frames go to a folder: copied packet for packet into a file there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.clock import CopyTimeline, common_shift
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import CONTAINERS, muxer_options
from vidrestore.media.streams.ffmpeg_remux import remux_with_ffmpeg
from vidrestore.media.streams.start_offsets import plan_start_offsets
from vidrestore.media.streams.stream_copy import (
    StreamCopier,
    copied_metadata,
    plan_stream_copy,
)
from vidrestore.media.streams.stream_metadata import stream_tags
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types.time_range import TimeRange

SOUND_FILE = "sound.mka"
"""Name in the folder."""
SOUND_CONTAINER = CONTAINERS[".mkv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPlan:
    """Which streams of a film are copied into the sound file, and when they start there."""

    source_path: Path
    copied: tuple[int, ...]
    """Indexes of streams of the source whose packets are copied here."""
    remuxed: tuple[int, ...]
    """Indexes of streams that only the ffmpeg program can copy."""
    timeline: CopyTimeline
    """Also of the frames, whose times are stated beside them."""
    time_base: Fraction
    """Of the frames."""
    source_format: str
    """FFmpeg's name of the source's container."""
    notes: tuple[str, ...]

    @property
    def stream_indexes(self) -> tuple[int, ...]:
        """Indexes of all streams of the file; without any, it is not written."""
        return (*self.copied, *self.remuxed)


def plan_sound(
    info: VideoInfo, source_path: Path, target: Path, time_range: TimeRange
) -> SoundPlan:
    """Return how the sound of a film is copied; what Matroska cannot hold is left out.

    Args:
        info: Description of the source.
        source_path: The source.
        target: The folder of frames.
        time_range: The selected part of the source.

    Raises:
        MediaError: The source cannot be read.
    """
    file = target / SOUND_FILE
    with open_container(source_path) as source, media_errors(source_path):
        plan = plan_stream_copy(
            source, info, SOUND_CONTAINER, file, drop_unsupported=True, kinds=("audio",)
        )
        bases = [each for at in plan.copied if (each := source.streams[at].time_base)]
    selected = time_range.shifted(info.origin_seconds)
    start = selected.start_seconds
    shift = common_shift(info.origin_seconds if start is None else start, info.time_base, bases)
    plan, timeline = plan_start_offsets(
        plan,
        CopyTimeline(shift_seconds=shift, time_range=selected),
        source_path=source_path,
        info=info,
        spec=SOUND_CONTAINER,
        target=file,
        time_range=time_range,
        drop_unsupported=True,
    )
    return SoundPlan(
        source_path=source_path,
        copied=plan.copied,
        remuxed=plan.remuxed,
        timeline=timeline,
        time_base=info.time_base,
        source_format=info.container,
        notes=plan.notes,
    )


def folder_notes(info: VideoInfo, sound: SoundPlan | None) -> list[str]:
    """Return notes on where a film's other streams are beside a folder of images."""
    if info.kind != "film":
        return []
    copied = () if sound is None else sound.stream_indexes
    others = [
        str(each) for each in info.streams if each.index not in (info.video_stream_index, *copied)
    ]
    if info.chapters:
        others.append("the chapters")
    notes = (
        [f"a folder holds frames and sound alone: {', '.join(others)} left out"] if others else []
    )
    if copied:
        notes.append(f"the sound is in {SOUND_FILE} in the folder")
    return [*notes, *(() if sound is None else sound.notes)]


def write_sound(plan: SoundPlan, path: Path, target: Path) -> list[str]:
    """Write the sound file; return notes on its streams.

    Args:
        plan: With at least one stream.
        path: The file to write.
        target: The output, as error messages name it.

    Raises:
        MediaError: The source cannot be read, or the file cannot be written.
    """
    spec = SOUND_CONTAINER
    with open_container(plan.source_path) as source, media_errors(target, "write"):
        tags = copied_metadata(dict(source.metadata))
        streams = [source.streams[at] for at in plan.copied]
        bases = [each.time_base for each in streams if each.time_base]
        options = muxer_options(spec, plan.time_base, bases, tags)
        notes: list[str] = []
        if streams:
            copier = _copy(source, streams, plan.timeline, path, tags, options)
            notes += copier.notes
        if plan.remuxed:
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
    spec = SOUND_CONTAINER
    with av.open(f"file:{path}", "w", format=spec.format, container_options=options) as output:
        copier = StreamCopier(source, output, timeline, spec.is_mov)
        for stream in streams:
            copier.add(stream, spec, stream_tags(stream, source, spec))
        output.metadata.update(tags)
        output.start_encoding()
        copier.copy_until(None)
    return copier


def _remux(plan: SoundPlan, path: Path, options: dict[str, str]) -> None:
    """Let the ffmpeg program add the streams that PyAV cannot copy."""
    copied = path.with_name(f"{path.stem}.copied{path.suffix}") if plan.copied else None
    if copied is not None:
        path.replace(copied)
    remux_with_ffmpeg(
        copied,
        plan.source_path,
        plan.remuxed,
        path,
        spec=SOUND_CONTAINER,
        clock=plan.timeline,
        muxer_options=options,
        repeated_options=(),
        source_format=plan.source_format,
    )
    if copied is not None:
        copied.unlink()
