"""Writes the output file: encoded video, with the copied streams between."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import ffmpeg_codec
from vidrestore.media.input.clock import CopyTimeline, common_shift, common_step_seconds
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import (
    container_frame_rate,
    container_of,
    muxer_options,
    supports_codec,
)
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.video_encoder import VideoEncoder, VideoEncoderConfig
from vidrestore.media.streams.chapters import plan_chapters
from vidrestore.media.streams.ffmpeg_remux import remux_with_ffmpeg
from vidrestore.media.streams.programs import (
    keep_stream_id,
    program_join_options,
    program_options,
    program_tags,
)
from vidrestore.media.streams.start_offsets import plan_start_offsets
from vidrestore.media.streams.stream_copy import (
    CopyPlan,
    StreamCopier,
    copied_metadata,
    plan_stream_copy,
)
from vidrestore.media.streams.stream_metadata import descriptions_lost, stream_tags
from vidrestore.media.streams.timecode import write_timecode
from vidrestore.media.streams.timestamp_rounding import TimestampRounding
from vidrestore.types import DisplayGeometry
from vidrestore.types.time_range import TimeRange

if TYPE_CHECKING:
    from av.container.core import Chapter


class Muxer:
    """Takes the encoded packets of the video, and copies all other streams of the source."""

    def __init__(
        self,
        path: Path,
        *,
        target: Path,
        info: VideoInfo,
        geometry: DisplayGeometry,
        source_path: Path | None,
        settings: EncoderSettings,
        time_range: TimeRange,
        drop_unsupported: bool,
    ) -> None:
        """Open the file, with all its streams.

        Args:
            path: The file to write.
            target: The output, as error messages name it; its suffix chooses the container.
            info: Description of the source.
            geometry: Display geometry of the frames.
            source_path: Source of the copied streams, chapters and metadata; None copies nothing.
            settings: Settings of the encoder.
            time_range: The selected time range of the source.
            drop_unsupported: Drop streams that the container does not support, and note it.

        Raises:
            MediaError: The file cannot be written.
            UnsupportedStreamError: The container does not support a stream.
        """
        self.notes: list[str] = []
        self._path = path
        self._target = target
        self._spec = container_of(target)
        self._source: InputContainer | None = None
        self._output: OutputContainer | None = None
        self._info = replace(info, average_rate=container_frame_rate(self._spec, target, info))
        self._source_path = source_path if info.kind == "film" else None
        self._settings = settings
        self._geometry = geometry
        self._has_started = False
        self._rounding = TimestampRounding(self._spec, target, info.time_base)
        self._display_aspect = self._aspect_by_remux(geometry)
        if not supports_codec(self._spec, ffmpeg_codec(settings.codec)):
            raise UnsupportedStreamError(self._codec_refusal())
        if info.color.transfer == PRINTING_DENSITY:
            self.notes.append(
                "the video keeps the scan's log density (Cineon), which no tag can state"
            )
        try:
            with media_errors(target, "write"):
                self._open(time_range, drop_unsupported=drop_unsupported)
        except BaseException:
            self.close()
            raise

    def _codec_refusal(self) -> str:
        suffix, codec = self._target.suffix, self._settings.codec
        return f"{self._target}: {suffix} does not support {codec} video"

    def _open(self, time_range: TimeRange, *, drop_unsupported: bool) -> None:
        info, spec, target = self._info, self._spec, self._target
        plan = CopyPlan()
        time_bases: list[Fraction] = []
        if self._source_path is not None:
            self._source = open_container(self._source_path)
            plan = plan_stream_copy(
                self._source, info, spec, target, drop_unsupported=drop_unsupported
            )
            copied = [self._source.streams[index] for index in plan.copied]
            time_bases = [stream.time_base for stream in copied if stream.time_base]
        selected = time_range.shifted(info.origin_seconds)
        start = selected.start_seconds
        offset = common_shift(
            info.origin_seconds if start is None else start, info.time_base, time_bases
        )
        timeline = CopyTimeline(shift_seconds=offset, time_range=selected)
        if self._source_path is not None:
            plan, timeline = plan_start_offsets(
                plan,
                timeline,
                source_path=self._source_path,
                info=info,
                spec=spec,
                target=target,
                time_range=time_range,
                drop_unsupported=drop_unsupported,
            )
        self._plan, self._timeline = plan, timeline
        self.notes.extend(plan.notes)
        self._chapters: list[Chapter] = []
        if self._source is not None:
            self._chapters, notes = plan_chapters(
                self._source, timeline, spec, target, drop_unsupported=drop_unsupported
            )
            self.notes.extend(notes)
        self._tags = copied_metadata(dict(info.metadata))
        self._options = muxer_options(spec, info.time_base, time_bases, self._tags)
        if self._source is not None:
            self._tags |= program_tags(info, spec)
            self._options |= program_options(info, spec)
        self._output = av.open(
            f"file:{self._path}", "w", format=spec.format, container_options=self._options
        )
        self._add_streams(self._output)

    def _add_streams(self, output: OutputContainer) -> None:
        self._copier: StreamCopier | None = None
        self._output_index: dict[int, int] = {}
        """Index of a stream in the source -> in the output."""
        if self._source is None:
            self._encoder = self._add_video(output)
            self._write_reel_name(output)
            return
        self._copier = StreamCopier(self._source, output, self._timeline, self._spec.is_mov)
        for stream in self._source.streams:
            tags = stream_tags(stream, self._source, self._spec)
            if stream.index == self._info.video_stream_index:
                self._encoder = self._add_video(output)
                if not self._encoder.stores_alpha:
                    tags = {key: tag for key, tag in tags.items() if key.lower() != "alpha_mode"}
                self.stream.metadata.update(tags)
                self.stream.disposition = stream.disposition
                keep_stream_id(self.stream, stream, self._spec)
                self._output_index[stream.index] = self.stream.index
            elif stream.index in self._plan.copied:
                self._output_index[stream.index] = self._copier.add(stream, self._spec, tags)
        for index in self._plan.remuxed:
            self._output_index[index] = len(self._output_index)
        output.metadata.update(self._tags)
        self._write_reel_name(output)
        output.set_chapters(self._chapters)

    def _add_video(self, output: OutputContainer) -> VideoEncoder:
        self.encoder_config = VideoEncoderConfig(
            container_format=self._spec.format,
            info=self._info,
            geometry=self._geometry,
            settings=self._settings,
            offset_ticks=int(self._timeline.shift_seconds / self._info.time_base),
        )
        try:
            encoder = self.encoder_config.encoder(output)
        except ValueError as error:
            raise UnsupportedStreamError(self._codec_refusal()) from error
        self.notes.extend(encoder.notes)
        is_rotated = self._geometry.quarter_turns or self._geometry.mirrored
        if is_rotated and not self._spec.stores_rotation:
            self.notes.append(
                f"{self._target.suffix} cannot store the rotation: players will show the video "
                "unrotated"
            )
        return encoder

    def _write_reel_name(self, output: OutputContainer) -> None:
        if self._info.reel_name is not None:
            # QuickTime takes it from the stream, MXF from the file.
            place = output if self._spec.format == "mxf" else self.stream
            place.metadata.setdefault("reel_name", self._info.reel_name)

    @property
    def stream(self) -> VideoStream:
        """The video stream."""
        return self._encoder.stream

    def set_frame_times(self, ticks: Sequence[int]) -> None:
        """Prepare for the timestamps of all frames, in presentation order; before any packet."""
        for timestamp in ticks:
            self._rounding.add_frame(timestamp)
        if not ticks or ticks[0] != 0 or not self._spec.lacks_timestamps:
            return
        # The container counts frames: at the rate of the video, not in ticks of the source.
        frame_seconds = common_step_seconds(ticks, self._info.time_base, self._info.average_rate)
        if frame_seconds is not None:
            self.stream.time_base = frame_seconds

    def mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        """Write packets of the video, in decoding order, and copied packets between them.

        Raises:
            MediaError: Writing failed.
        """
        if self._output is None:
            return
        with media_errors(self._target, "write"):
            for packet in packets:
                if not self._has_started:
                    self._has_started = True
                    self._first_seconds = (packet.pts or 0) * packet.time_base
                    self._write_timecode(self._output, packet)
                dts = packet.dts if packet.dts is not None else packet.pts
                if self._copier is not None and dts is not None:
                    self._output.start_encoding()
                    self._copier.copy_until(dts * packet.time_base)
                self._rounding.add_packet(packet)
                self._output.mux_one(packet)

    def _write_timecode(self, output: OutputContainer, first: "Packet[VideoStream]") -> None:
        """Write the timecode of the first frame; the header must not be written yet."""
        info = self._info
        if info.timecode is None or first.pts is None:
            return
        first_seconds = first.pts * first.time_base + self._timeline.shift_seconds
        notes = write_timecode(
            (output.metadata, self.stream.metadata),
            info.timecode,
            later_seconds=first_seconds
            - (info.streams[info.video_stream_index].start_seconds or 0),
            rate=info.average_rate,
        )
        self.notes.extend(notes)

    def finish(self) -> None:
        """Copy the remaining packets and write the end of the file.

        Raises:
            MediaError: Writing failed.
        """
        if self._output is None:
            return
        with media_errors(self._target, "write"):
            if self._copier is not None:
                self._copier.copy_until(None)
                self.notes.extend(self._copier.notes)
            self._output.close()
            self.notes.extend(self._rounding.notes())
            if self._plan.remuxed or self._display_aspect is not None:
                self._remux(self._source_path or self._path)
        if self._source is not None:
            suffix = self._target.suffix
            self.notes.extend(
                descriptions_lost(self._source, self._path, self._output_index, suffix=suffix)
            )

    def _aspect_by_remux(self, geometry: DisplayGeometry) -> Fraction | None:
        """Return the display aspect ratio where only the ffmpeg program can write it."""
        if geometry.sample_aspect_ratio == 1 or not self._spec.rounds_to_milliseconds:
            return None
        height, width = geometry.coded_hw
        return geometry.sample_aspect_ratio * width / height

    def _remux(self, source_path: Path) -> None:
        """Let the ffmpeg program add the streams and the aspect ratio that PyAV cannot write."""
        aspect = self._display_aspect
        without = self._path.with_name(f"{self._path.stem}.video{self._path.suffix}")
        self._path.replace(without)
        try:
            remux_with_ffmpeg(
                without,
                source_path,
                self._plan.remuxed,
                self._path,
                spec=self._spec,
                clock=self._timeline_in(without),
                muxer_options=self._options,
                repeated_options=self._repeated_options(),
                source_format=self._info.container,
                aspect=None if aspect is None else (self._encoder.stream_index, aspect),
            )
        finally:
            without.unlink(missing_ok=True)

    def _timeline_in(self, written: Path) -> CopyTimeline:
        """Return the timeline, with what the muxer of transport streams has moved all times by.

        They cannot begin before 0, and decoding begins before the first frame is presented.
        """
        if self._spec.format != "mpegts":
            return self._timeline
        with open_container(written) as container:
            video = container.streams[self._encoder.stream_index]
            first = next(packet for packet in container.demux(video) if packet.pts is not None)
            delay = (first.pts or 0) * first.time_base - self._first_seconds
        return replace(self._timeline, delay_seconds=delay)

    def _repeated_options(self) -> list[str]:
        if self._source is None:
            return []
        return program_join_options(self._info, self._source, self._output_index, self._spec)

    def close(self) -> None:
        """Close both files; safe to call twice."""
        for container in (self._source, self._output):
            if container is None:
                continue
            try:
                container.close()
            except av.error.FFmpegError:
                # The end of an incomplete file could not be written; it is deleted anyway.
                continue
