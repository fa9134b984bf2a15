"""Plans a video file: its copied streams, timeline, chapters, tags and muxer options."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av.container import InputContainer

from vidrestore.media.input.clock import CopyTimeline
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import ContainerSpec, muxer_options
from vidrestore.media.streams.chapters import plan_chapters
from vidrestore.media.streams.copy_plan import CopyPlan
from vidrestore.media.streams.programs import program_options, program_tags
from vidrestore.media.streams.start_offsets import output_timeline, plan_timed_copy
from vidrestore.media.streams.stream_metadata import copied_metadata
from vidrestore.types.time_range import TimeRange

if TYPE_CHECKING:
    from av.container.core import Chapter


@dataclass(frozen=True, slots=True, kw_only=True)
class MuxPlan:
    """Everything in a video file except the packets of the video."""

    streams: CopyPlan
    timeline: CopyTimeline
    chapters: "list[Chapter]"
    tags: dict[str, str]
    """Metadata of the file."""
    options: dict[str, str]
    """Options of the muxer."""
    notes: list[str]


def plan_mux(
    source: InputContainer | None,
    source_path: Path | None,
    info: VideoInfo,
    *,
    spec: ContainerSpec,
    target: Path,
    time_range: TimeRange,
    drop_unsupported: bool,
) -> MuxPlan:
    """Plan a video file.

    Args:
        source: Where streams, chapters and metadata are copied from, at its start; None copies
            nothing.
        source_path: Its path.
        info: The source of the frames.
        spec: Container of the output.
        target: The output, as error messages name it.
        time_range: The selected time range of the source.
        drop_unsupported: Drop streams that the container does not support, and note it.

    Raises:
        UnsupportedStreamError: The container does not support a stream.
    """
    tags = copied_metadata(dict(info.metadata))
    if source is None or source_path is None:
        timeline = output_timeline(info, time_range, [])
        options = muxer_options(spec, info.time_base, [], tags)
        return MuxPlan(
            streams=CopyPlan(), timeline=timeline, chapters=[], tags=tags, options=options, notes=[]
        )
    streams, timeline = plan_timed_copy(
        source,
        source_path,
        info,
        spec,
        target,
        time_range=time_range,
        drop_unsupported=drop_unsupported,
    )
    bases = [base for index in streams.copied if (base := source.streams[index].time_base)]
    options = muxer_options(spec, info.time_base, bases, tags)
    chapters, notes = plan_chapters(
        source, timeline, spec, target, drop_unsupported=drop_unsupported
    )
    return MuxPlan(
        streams=streams,
        timeline=timeline,
        chapters=chapters,
        tags=tags | program_tags(info, spec),
        options=options | program_options(info, spec),
        notes=[*streams.notes, *notes],
    )
