"""Frames to packets of one stream: planes, colour, fields and times as the source has them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import HALF_FLOAT, PRINTING_DENSITY
from vidrestore.media.color.hdr_metadata import add_encoder_parameters, losses, state_in_container
from vidrestore.media.color.pixel_conversion import converted, converted_color, describe_change
from vidrestore.media.color.pixel_formats import moved, plane_views
from vidrestore.media.input.clock import decode_timestamps
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice, encoder_options
from vidrestore.types import ColorTags, DisplayGeometry, Frame

_FIELD_ORDER_CODES = {"progressive": 1, "top first": 2, "bottom first": 3}
_DEFAULT_RATE = Fraction(25)
_UNSPECIFIED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTiming:
    """The clock of the encoded stream."""

    time_base: Fraction
    rate: Fraction
    shift_ticks: int
    """Taken from every time stamp."""


class VideoEncoder:
    """Encodes frames of one size and pixel format into a stream of an open container."""

    def __init__(
        self,
        output: OutputContainer,
        info: VideoInfo,
        geometry: DisplayGeometry,
        settings: EncoderSettings,
        *,
        shift_ticks: int,
        allow_reordering: bool,
    ) -> None:
        self.notes: list[str] = []
        self._info = info
        self._geometry = geometry
        self._choice = encoder_choice(settings, info.pixel_format, geometry.coded_hw)
        self._color = converted_color(info.color, info.pixel_format, self._choice.planar)
        self._timing = StreamTiming(
            time_base=info.time_base,
            rate=info.average_rate or _DEFAULT_RATE,
            shift_ticks=shift_ticks,
        )
        self._durations: dict[int, int] = {}
        self._first_dts: int | None = None
        self._first_pts = self._end_ticks = 0
        self._fields = _FieldOrderWriter()
        options = encoder_options(settings, self._choice.planar, geometry.coded_hw)
        if not allow_reordering:
            options["bf"] = "0"
        self.stream = self._added_stream(output, settings, options)
        self.stream_index = self.stream.index
        self._note_changes(settings)
        self.notes += losses(
            info.side_data,
            self._color,
            encoder=self._choice.encoder,
            codec=self.stream.codec_context.codec.canonical_name,
            container=output.format.name,
        )

    def _added_stream(
        self, output: OutputContainer, settings: EncoderSettings, options: dict[str, str]
    ) -> VideoStream:
        height, width = self._geometry.coded_hw
        stream = output.add_stream(self._choice.encoder, self._timing.rate)
        if not isinstance(stream, VideoStream):
            raise MediaError(f"{self._choice.encoder} is not a video encoder")
        # First, as it resets the settings of the codec.
        state_in_container(stream, self._info.side_data)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, self._choice.name
        context.time_base = self._timing.time_base
        stream.time_base = self._timing.time_base
        context.sample_aspect_ratio = self._geometry.sample_aspect_ratio
        _tag(context, self._color)
        if self._color.chroma_location and self._choice.planar.model == "yuv":
            options["chroma_sample_location"] = str(self._color.chroma_location)
        context.thread_count = settings.threads
        # Both kinds: with slices alone, x264 would cut every frame into pieces.
        context.thread_type = "AUTO"
        context.flags |= Flags.frame_duration
        order = self._info.field_order
        if order in _FIELD_ORDER_CODES:
            context.field_order = _FIELD_ORDER_CODES[order]
        if order in ("top first", "bottom first") and settings.spec.supports_interlaced_coding:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            if settings.codec == "h264":
                options["x264-params"] = "tff=1" if order == "top first" else "bff=1"
        add_encoder_parameters(options, self._choice.encoder, self._info.side_data)
        context.options = options
        if settings.codec == "av1":
            # SVT-AV1 has its own log, on the terminal; this is its only switch.
            os.environ.setdefault("SVT_LOG", "0")
        turns = self._geometry.quarter_turns
        if turns or self._geometry.mirrored:
            stream.set_display_matrix(display_matrix(self._geometry))
        return stream

    def _note_changes(self, settings: EncoderSettings) -> None:
        source, choice = self._info.pixel_format, self._choice
        if choice.planar != source:
            self.notes.append(describe_change(source, choice.planar, choice.loss))
        interlaced = self._info.field_order in ("top first", "bottom first")
        if interlaced and not settings.spec.supports_interlaced_coding and settings.codec != "ffv1":
            self.notes.append(
                f"{settings.codec} cannot code fields: frames hold both, without flags"
            )

    def packets(self, frame: Frame) -> Iterator["Packet[VideoStream]"]:
        """Yield what the encoder gives out when it is given ``frame``.

        Raises:
            MediaError: The frame is of another size or pixel format than the source.
        """
        info = self._info
        if frame.coded_hw != self._geometry.coded_hw or frame.pixel_format != info.pixel_format:
            height, width = self._geometry.coded_hw
            raise MediaError(
                f"frame {frame.index} is {frame.coded_hw[1]}x{frame.coded_hw[0]} "
                f"{frame.pixel_format.name}, the film {width}x{height} {info.pixel_format.name}"
            )
        if frame.timestamp.time_base != info.time_base:
            raise MediaError(
                f"frame {frame.index} counts in {frame.timestamp.time_base} s, "
                f"the film in {info.time_base} s"
            )
        picture = self._picture(frame)
        ticks = picture.pts or 0
        self._durations[ticks] = frame.duration_ticks
        self._end_ticks = ticks + max(1, frame.duration_ticks)
        yield from self._timed(self._encoded(picture))

    def remaining(self) -> Iterator["Packet[VideoStream]"]:
        """Yield what the encoder still holds; nothing can be encoded after."""
        encoded = self._encoded(None)
        if self._first_dts is None and self._choice.encoder == "libx265":
            # Of films of one or two frames, x265 makes decoding times of memory it never set.
            growing = decode_timestamps([packet.pts or 0 for packet in encoded])
            for packet, ticks in zip(encoded, growing, strict=True):
                packet.dts = ticks
        packets = list(self._timed(encoded))
        if packets and packets[-1].dts is not None and self._first_dts is not None:
            # MP4 adds up durations in decoding order; they are to end where the last frame does.
            decoded_ticks = packets[-1].dts - self._first_dts
            packets[-1].duration = max(1, self._end_ticks - self._first_pts - decoded_ticks)
        yield from packets

    def _encoded(self, picture: av.VideoFrame | None) -> "list[Packet[VideoStream]]":
        return cast("list[Packet[VideoStream]]", self.stream.encode(picture))

    def _timed(self, packets: "Iterable[Packet[VideoStream]]") -> Iterator["Packet[VideoStream]"]:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if duration:
                packet.duration = duration
            if self._first_dts is None:
                self._first_dts, self._first_pts = packet.dts, packet.pts or 0
            yield packet

    def _picture(self, frame: Frame) -> av.VideoFrame:
        planar = self._choice.planar
        ready = converted(frame, planar)
        height, width = ready.coded_hw
        picture = av.VideoFrame(width, height, planar.name)
        for view, plane in zip(plane_views(picture, planar), ready.planes, strict=True):
            view[...] = plane
        if self._choice.name != planar.name:
            picture = moved(picture, self._choice.name)
        _tag(picture, self._color)
        picture.pts = frame.timestamp.ticks - self._timing.shift_ticks
        picture.duration = frame.duration_ticks
        picture.time_base = self._timing.time_base
        return self._fields.flagged(picture, frame) if frame.interlaced else picture


def _tag(holder: "av.VideoFrame | av.VideoCodecContext", color: ColorTags) -> None:
    holder.colorspace = color.matrix
    holder.color_primaries = color.primaries
    own = color.transfer in (PRINTING_DENSITY, HALF_FLOAT)
    holder.color_trc = _UNSPECIFIED if own else color.transfer
    holder.color_range = (2 if color.full_range else 1) if color.range_known else 0


class _FieldOrderWriter:
    """Marks frames as interlaced; PyAV has no setter, FFmpeg's ``setfield`` filter has."""

    def __init__(self) -> None:
        self._graphs: dict[bool, Graph] = {}

    def flagged(self, picture: av.VideoFrame, frame: Frame) -> av.VideoFrame:
        top_first = frame.top_field_first
        if top_first not in self._graphs:
            self._graphs[top_first] = self._graph(picture, "tff" if top_first else "bff")
        graph = self._graphs[top_first]
        pts, duration = picture.pts, picture.duration
        graph.push(picture)
        marked = graph.vpull()
        marked.pts, marked.duration = pts, duration
        return marked

    @staticmethod
    def _graph(picture: av.VideoFrame, mode: str) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=picture.time_base,
        )
        marker = graph.add("setfield", mode)
        sink = graph.add("buffersink")
        source.link_to(marker)
        marker.link_to(sink)
        graph.configure()
        return graph


def display_matrix(geometry: DisplayGeometry) -> list[int]:
    """Return FFmpeg's display matrix of a geometry: 16.16 fixed point, the last column 2.30."""
    turns = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
    a, b, c, d = turns[geometry.quarter_turns]
    if geometry.mirrored:
        a, b = -a, -b
    one = 1 << 16
    return [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
