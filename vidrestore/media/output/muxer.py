"""Writes a video file: encoded packets of the video, interleaved with the copied streams."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import UnsupportedStreamError
from vidrestore.media.color.code_points import PRINTING_DENSITY
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.file_kinds import ffmpeg_codec
from vidrestore.media.input.clock import CopyTimeline, common_step_seconds
from vidrestore.media.input.probe import open_container
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.containers import (
    container_frame_rate,
    container_of,
    supports_codec,
)
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.mux_plan import plan_mux
from vidrestore.media.output.video_encoder import VideoEncoder, VideoEncoderConfig
from vidrestore.media.streams.ffmpeg_remux import remux_with_ffmpeg
from vidrestore.media.streams.programs import keep_stream_id, program_remux_args
from vidrestore.media.streams.stream_copy import StreamCopier
from vidrestore.media.streams.stream_metadata import lost_metadata_notes, stream_tags
from vidrestore.media.streams.timecode import write_timecode
from vidrestore.media.streams.timestamp_rounding import TimestampRounding
from vidrestore.types import DisplayGeometry
from vidrestore.types.time_range import TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class MuxerConfig:
    """What a video file contains."""

    target: Path
    """The output, as error messages name it; its suffix chooses the container."""
    info: VideoInfo
    """The source."""
    geometry: DisplayGeometry
    """Display geometry of the frames."""
    source_path: Path | None
    """Source of the copied streams, chapters and metadata; None copies nothing."""
    settings: EncoderSettings
    time_range: TimeRange
    """The selected time range of the source."""
    drop_unsupported: bool
    """Drop streams that the container does not support, and note it."""


class Muxer:
    """Writes the encoded packets of the video, and copies all other streams of the source."""

    def __init__(self, path: Path, config: MuxerConfig) -> None:
        """Open the file and add its streams.

        Args:
            path: The file to write.
            config: What it contains.

        Raises:
            MediaError: The file cannot be written.
            UnsupportedStreamError: The container does not support a stream.
        """
        target, info, settings = config.target, config.info, config.settings
        self.notes: list[str] = []
        self._path = path
        self._target = target
        self._spec = container_of(target)
        self._source: InputContainer | None = None
        self._output: OutputContainer | None = None
        self._info = replace(info, average_rate=container_frame_rate(self._spec, target, info))
        self._source_path = config.source_path if info.kind == "film" else None
        self._settings = settings
        self._geometry = config.geometry
        self._has_started = False
        self._rounding = TimestampRounding(self._spec, target, info.time_base)
        self._display_aspect = self._aspect_by_remux(config.geometry)
        if not supports_codec(self._spec, ffmpeg_codec(settings.codec)):
            raise UnsupportedStreamError(self._codec_refusal())
        if info.color.transfer == PRINTING_DENSITY:
            self.notes.append(
                "the video keeps the scan's log density (Cineon), which no tag can state"
            )
        try:
            with media_errors(target, "write"):
                if self._source_path is not None:
                    self._source = open_container(self._source_path)
                self._plan = plan_mux(
                    self._source,
                    self._source_path,
                    self._info,
                    spec=self._spec,
                    target=target,
                    time_range=config.time_range,
                    drop_unsupported=config.drop_unsupported,
                )
                self.notes.extend(self._plan.notes)
                self._output = av.open(
                    f"file:{path}",
                    "w",
                    format=self._spec.format,
                    container_options=self._plan.options,
                )
                self._add_streams(self._output)
        except BaseException:
            self.close()
            raise

    def _codec_refusal(self) -> str:
        suffix, codec = self._target.suffix, self._settings.codec
        return f"{self._target}: {suffix} does not support {codec} video"

    def _add_streams(self, output: OutputContainer) -> None:
        self._copier: StreamCopier | None = None
        self._output_index: dict[int, int] = {}
        """Index of each stream of the source in the output."""
        if self._source is None:
            self._encoder = self._add_video(output)
            self._write_reel_name(output)
            return
        self._copier = StreamCopier(self._source, output, self._plan.timeline, self._spec.is_mov)
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
            elif stream.index in self._plan.streams.copied:
                self._output_index[stream.index] = self._copier.add(stream, self._spec, tags)
        for index in self._plan.streams.remuxed:
            self._output_index[index] = len(self._output_index)
        output.metadata.update(self._plan.tags)
        self._write_reel_name(output)
        output.set_chapters(self._plan.chapters)

    def _add_video(self, output: OutputContainer) -> VideoEncoder:
        self.encoder_config = VideoEncoderConfig(
            container_format=self._spec.format,
            info=self._info,
            geometry=self._geometry,
            settings=self._settings,
            offset_ticks=int(self._plan.timeline.shift_seconds / self._info.time_base),
        )
        try:
            encoder = VideoEncoder(output, self.encoder_config)
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
            owner = output if self._spec.format == "mxf" else self.stream
            owner.metadata.setdefault("reel_name", self._info.reel_name)

    @property
    def stream(self) -> VideoStream:
        """The video stream."""
        return self._encoder.stream

    def set_frame_times(self, ticks: Sequence[int]) -> None:
        """Take the timestamps of all frames, in presentation order, before the first packet."""
        for timestamp in ticks:
            self._rounding.add_frame(timestamp)
        if not ticks or ticks[0] != 0 or not self._spec.lacks_timestamps:
            return
        # The container numbers frames at the rate of the video, not in ticks of the source.
        frame_seconds = common_step_seconds(ticks, self._info.time_base, self._info.average_rate)
        if frame_seconds is not None:
            self.stream.time_base = frame_seconds

    def mux(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        """Write packets of the video, in decoding order, interleaved with copied packets.

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
        first_seconds = first.pts * first.time_base + self._plan.timeline.shift_seconds
        notes = write_timecode(
            (output.metadata, self.stream.metadata),
            info.timecode,
            advance_seconds=first_seconds
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
            if self._plan.streams.remuxed or self._display_aspect is not None:
                self._remux(self._source_path or self._path)
        if self._source is not None:
            suffix = self._target.suffix
            self.notes.extend(
                lost_metadata_notes(self._source, self._path, self._output_index, suffix=suffix)
            )

    def _aspect_by_remux(self, geometry: DisplayGeometry) -> Fraction | None:
        """Return the display aspect ratio if only the ffmpeg program can write it, else None."""
        if geometry.sample_aspect_ratio == 1 or not self._spec.rounds_to_milliseconds:
            return None
        height, width = geometry.coded_hw
        return geometry.sample_aspect_ratio * width / height

    def _remux(self, source_path: Path) -> None:
        """Add the streams and the aspect ratio that only the ffmpeg program can write."""
        aspect = self._display_aspect
        video_path = self._path.with_name(f"{self._path.stem}.video{self._path.suffix}")
        self._path.replace(video_path)
        try:
            remux_with_ffmpeg(
                video_path,
                source_path,
                self._plan.streams.remuxed,
                self._path,
                spec=self._spec,
                timeline=self._timeline_in(video_path),
                muxer_options=self._plan.options,
                repeated_options=self._repeated_options(),
                source_format=self._info.container,
                aspect=None if aspect is None else (self._encoder.stream_index, aspect),
            )
        finally:
            video_path.unlink(missing_ok=True)

    def _timeline_in(self, video_path: Path) -> CopyTimeline:
        """Return the timeline with the delay that the muxer of transport streams added.

        Their times cannot be negative, but decoding starts before the first presentation.
        """
        if self._spec.format != "mpegts":
            return self._plan.timeline
        with open_container(video_path) as container:
            video = container.streams[self._encoder.stream_index]
            first = next(packet for packet in container.demux(video) if packet.pts is not None)
            delay = (first.pts or 0) * first.time_base - self._first_seconds
        return replace(self._plan.timeline, delay_seconds=delay)

    def _repeated_options(self) -> list[str]:
        if self._source is None:
            return []
        return program_remux_args(self._info, self._source, self._output_index, self._spec)

    def close(self) -> None:
        """Close both files; safe to call twice."""
        for container in (self._source, self._output):
            if container is not None:
                # The end of an incomplete file cannot be written; the file is deleted anyway.
                with suppress(av.error.FFmpegError):
                    container.close()
