"""The file of a film: encoded pictures in, with everything else of the source beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.color.code_points import HALF_FLOAT, PRINTING_DENSITY
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.clock import CopyTimeline, TimeRange, common_shift, step_of_all
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import container_frame_rate, container_of, holds_codec
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.muxer_options import muxer_options
from vidrestore.media.output.video_encoder import VideoEncoder
from vidrestore.media.streams.chapters import held_chapters
from vidrestore.media.streams.ffmpeg_remux import joined
from vidrestore.media.streams.start_offsets import plan_start_offsets
from vidrestore.media.streams.stream_copy import CopyPlan, StreamCopier, copied_metadata, planned
from vidrestore.media.streams.stream_metadata import descriptions_lost, stream_tags
from vidrestore.media.streams.timecode import write_timecode
from vidrestore.media.streams.timestamp_rounding import TimestampRounding
from vidrestore.types import DisplayGeometry

if TYPE_CHECKING:
    from av.container.core import Chapter

_CODEC_IDS = {"h265": "hevc", "dnxhr": "dnxhd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoderConfig:
    """All that the packets of a film's pictures depend on, but the pictures."""

    container_format: str
    info: VideoInfo
    """Of the frames' source."""
    geometry: DisplayGeometry
    settings: EncoderSettings
    shift_ticks: int
    """Taken from every time stamp."""

    def encoder(self, output: OutputContainer) -> VideoEncoder:
        """Return an encoder for a stream that it adds to ``output``.

        Raises:
            ValueError: There is none for such pictures.
        """
        return VideoEncoder(
            output,
            self.info,
            self.geometry,
            self.settings,
            shift_ticks=self.shift_ticks,
            allow_reordering=self.container_format != "avi",
        )


class Muxer:
    """A film that is being written: takes packets of its pictures, and copies all others."""

    def __init__(
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        source_path: Path | None,
        settings: EncoderSettings,
        cut: TimeRange,
        drop_unsupported: bool,
    ) -> None:
        self.notes: list[str] = []
        self._path = path
        self._target = target
        self._spec = container_of(target)
        self._info = info = replace(
            info, average_rate=container_frame_rate(self._spec, target, info)
        )
        self._source_path = source_path if info.kind == "film" else None
        self._begun = False
        self._held_times = TimestampRounding(self._spec, target, info.time_base)
        self._whole_aspect = self._stated_aspect(geometry)
        codec = _CODEC_IDS.get(settings.codec, settings.codec)
        if not holds_codec(self._spec, codec):
            raise UnsupportedStreamError(self._codec_refusal(settings))
        if info.color.transfer == HALF_FLOAT:
            raise UnsupportedStreamError(
                f"{target}: a film cannot hold floating-point pictures; name a folder with -o"
            )
        if info.color.transfer == PRINTING_DENSITY:
            self.notes.append("the film holds printing density, which no tag of a film can state")
        self._source: InputContainer | None = None
        self._output: OutputContainer | None = None
        try:
            with media_errors(target, "write"):
                self._open(geometry, settings, cut, drop_unsupported)
        except BaseException:
            self.close()
            raise

    def _codec_refusal(self, settings: EncoderSettings) -> str:
        suffix = self._target.suffix
        better = ".mov" if settings.codec == "dnxhr" else ".mkv"
        return (
            f"{self._target}: {suffix} cannot hold {settings.codec} video; "
            f"use -o {self._target.stem}{better} or another --codec"
        )

    def _open(
        self,
        geometry: DisplayGeometry,
        settings: EncoderSettings,
        cut: TimeRange,
        drop_unsupported: bool,
    ) -> None:
        plan = CopyPlan()
        time_bases: list[Fraction] = []
        if self._source_path is not None:
            self._source = open_container(self._source_path)
            plan = planned(
                self._source,
                self._info,
                self._spec,
                self._target,
                drop_unsupported=drop_unsupported,
            )
            copied = [self._source.streams[at] for at in plan.copied]
            time_bases = [each.time_base for each in copied if each.time_base]
        start, end = cut.bounds_seconds(self._info.origin_seconds)
        wanted = start if start is not None else self._info.origin_seconds
        shift = common_shift(wanted, self._info.time_base, time_bases)
        clock = CopyTimeline(shift_seconds=shift, start_seconds=start, end_seconds=end)
        if self._source_path is not None:
            plan, clock = plan_start_offsets(
                plan,
                clock,
                source_path=self._source_path,
                info=self._info,
                spec=self._spec,
                target=self._target,
                cut=cut,
                drop_unsupported=drop_unsupported,
            )
        self._plan, self._clock = plan, clock
        self.notes.extend(plan.notes)
        self._chapters: list[Chapter] = []
        if self._source is not None:
            self._chapters, notes = held_chapters(
                self._source, clock, self._spec, self._target, drop_unsupported=drop_unsupported
            )
            self.notes.extend(notes)
        self._muxer_options = muxer_options(self._spec, self._info, time_bases)
        self._output = av.open(
            f"file:{self._path}",
            "w",
            format=self._spec.format,
            container_options=self._muxer_options,
        )
        self._add_streams(self._output, geometry, settings, clock.shift_seconds)

    def _add_streams(
        self,
        output: OutputContainer,
        geometry: DisplayGeometry,
        settings: EncoderSettings,
        shift: Fraction,
    ) -> None:
        self._copier: StreamCopier | None = None
        self._written_as: dict[int, int] = {}
        if self._source is None:
            self.encoder = self._picture_encoder(output, geometry, settings, shift)
            self._name_reel(output)
            return
        self._copier = StreamCopier(self._source, output, self._clock, self._spec.is_mov)
        for stream in self._source.streams:
            tags = stream_tags(stream, self._source, self._spec)
            if stream.index == self._info.video_stream_index:
                self.encoder = self._picture_encoder(output, geometry, settings, shift)
                own = self.encoder.stream
                own.metadata.update(tags)
                own.disposition = stream.disposition
                self._written_as[stream.index] = own.index
            elif stream.index in self._plan.copied:
                self._written_as[stream.index] = self._copier.add(stream, self._spec, tags)
        for index in self._plan.joined:
            self._written_as[index] = len(self._written_as)
        output.metadata.update(copied_metadata(dict(self._info.metadata)))
        self._name_reel(output)
        output.set_chapters(self._chapters)

    def _name_reel(self, output: OutputContainer) -> None:
        if self._info.reel_name is not None:
            # QuickTime takes it from the pictures, MXF from the file.
            holder = output if self._spec.format == "mxf" else self.encoder.stream
            holder.metadata.setdefault("reel_name", self._info.reel_name)

    def _begin(self, first: "Packet[VideoStream]") -> None:
        """State the time code of the first picture, before the header is written."""
        self._begun = True
        info = self._info
        if self._output is None or info.timecode is None or first.pts is None:
            return
        begins = first.pts * first.time_base + self._clock.shift_seconds
        note = write_timecode(
            (self._output.metadata, self.encoder.stream.metadata),
            info.timecode,
            later_seconds=begins - (info.streams[info.video_stream_index].start_seconds or 0),
            rate=info.average_rate,
        )
        self.notes.extend(note)

    def _picture_encoder(
        self,
        output: OutputContainer,
        geometry: DisplayGeometry,
        settings: EncoderSettings,
        shift: Fraction,
    ) -> VideoEncoder:
        self.plan = VideoEncoderConfig(
            container_format=self._spec.format,
            info=self._info,
            geometry=geometry,
            settings=settings,
            shift_ticks=int(shift / self._info.time_base),
        )
        try:
            encoder = self.plan.encoder(output)
        except ValueError as error:
            raise UnsupportedStreamError(self._codec_refusal(settings)) from error
        self.notes.extend(encoder.notes)
        if (geometry.quarter_turns or geometry.mirrored) and not self._spec.holds_rotation:
            self.notes.append(f"{self._target.suffix} cannot hold the rotation of the film")
        return encoder

    @property
    def stream(self) -> VideoStream:
        """The stream of the pictures."""
        return self.encoder.stream

    def mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        """Write packets of the pictures, in decoding order, and what belongs between them.

        Raises:
            MediaError: Writing failed.
        """
        if self._output is None:
            return
        with media_errors(self._target, "write"):
            for packet in packets:
                if not self._begun:
                    self._begin(packet)
                dts = packet.dts if packet.dts is not None else packet.pts
                if self._copier is not None and dts is not None:
                    self._output.start_encoding()
                    self._copier.pump(dts * packet.time_base)
                self._held_times.take(packet)
                self._output.mux_one(packet)

    def finish(self) -> None:
        """Copy the remaining packets and write the end of the file."""
        if self._output is None:
            return
        with media_errors(self._target, "write"):
            if self._copier is not None:
                self._copier.pump(None)
                self.notes.extend(self._copier.notes)
            self._output.close()
            self.notes.extend(self._held_times.notes())
            if self._plan.joined or self._whole_aspect is not None:
                self._join(self._source_path or self._path)
        if self._source is not None:
            suffix = self._target.suffix
            self.notes.extend(
                descriptions_lost(self._source, self._path, self._written_as, suffix=suffix)
            )

    def set_frame_times(self, ticks: Sequence[int]) -> None:
        """Learn the times of all pictures, in order, before the first packet is written."""
        for each in ticks:
            self.follow_rhythm(each)
        if not ticks or ticks[0] != 0 or not self._spec.lacks_timestamps:
            return
        # Frames are counted at the film's own rate, not in the ticks of another container.
        step = step_of_all(ticks, self._info.time_base, self._info.average_rate)
        if step is not None:
            self.encoder.stream.time_base = step

    def follow_rhythm(self, ticks: int) -> None:
        """Take note of the time of the next picture in presentation order."""
        self._held_times.follow(ticks)

    def _stated_aspect(self, geometry: DisplayGeometry) -> Fraction | None:
        """Return the aspect of the whole picture where only the join can state it."""
        ratio = geometry.sample_aspect_ratio
        if ratio == 1 or not self._spec.rounds_to_milliseconds:
            return None
        height, width = geometry.coded_hw
        return ratio * width / height

    def _join(self, source_path: Path) -> None:
        aspect = self._whole_aspect
        alone = self._path.with_name(f"{self._path.stem}.video{self._path.suffix}")
        self._path.replace(alone)
        try:
            joined(
                alone,
                source_path,
                self._plan.joined,
                self._path,
                spec=self._spec,
                clock=self._clock,
                muxer_options=self._muxer_options,
                aspect=None if aspect is None else (self.encoder.stream_index, aspect),
            )
        finally:
            alone.unlink(missing_ok=True)

    def close(self) -> None:
        """Close both files; safe to call twice."""
        for container in (self._source, self._output):
            if container is None:
                continue
            try:
                container.close()
            except av.error.FFmpegError:
                # The end of a file that is given up anyway could not be written.
                continue
