"""Encodes frames into the packets of one stream, with the source's format, color and times."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import cast

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.color.code_points import (
    HALF_FLOAT,
    MATRIX_BT709,
    MATRIX_BT2020,
    PRINTING_DENSITY,
)
from vidrestore.media.color.hdr_metadata import (
    add_encoder_parameters,
    describe_losses,
    write_to_container,
)
from vidrestore.media.color.pixel_conversion import convert_frame, converted_color, describe_change
from vidrestore.media.color.pixel_formats import plane_views, repacked
from vidrestore.media.fields.field_order import FieldOrderWriter
from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.clock import decode_timestamps
from vidrestore.media.input.video_info import VideoInfo
from vidrestore.media.output.encoder_table import EncoderSettings
from vidrestore.media.output.encoders import encoder_choice, encoder_options
from vidrestore.types import ColorTags, DisplayGeometry, Frame

_FIELD_ORDER_CODES = {"progressive": 1, "top first": 2, "bottom first": 3}
_INTERLACED = ("top first", "bottom first")
_DEFAULT_RATE = Fraction(25)
_UNSPECIFIED = 2
_FOR_PLAYERS = ("h264", "h265", "av1")
_MOV_FORMATS = ("mp4", "mov")
_COLOR_VOLUME_BYTE = 0x2C
_COLOR_VOLUME_SHIFT = 1
_COLOR_VOLUMES: Mapping[int, int] = MappingProxyType({MATRIX_BT709: 0, MATRIX_BT2020: 1, 10: 2})
"""Color volume (SMPTE ST 2019-1) of each matrix (ITU-T H.273), as FFmpeg's decoder reads it."""
_OTHER_VOLUME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoderConfig:
    """Everything that determines the encoded packets, except the frames."""

    container_format: str
    """FFmpeg's name of the muxer."""
    info: VideoInfo
    """The source of the frames."""
    geometry: DisplayGeometry
    settings: EncoderSettings
    offset_ticks: int
    """Subtracted from every timestamp."""


class VideoEncoder:
    """Encodes frames of one size and pixel format into a stream of an open container."""

    def __init__(self, output: OutputContainer, config: VideoEncoderConfig) -> None:
        """Add a stream to ``output``.

        Raises:
            ValueError: The container has no encoder for such frames.
        """
        self.notes: list[str] = []
        info, settings = config.info, config.settings
        self._info = info
        self._geometry = config.geometry
        self._settings = settings
        self._offset_ticks = config.offset_ticks
        self._choice = encoder_choice(settings, info.pixel_format, config.geometry.coded_hw)
        self._color = converted_color(info.color, info.pixel_format, self._choice.planar)
        self._durations: dict[int, int] = {}
        self._first_dts: int | None = None
        self._first_pts = self._end_ticks = 0
        self._field_order_writer = FieldOrderWriter()
        options = encoder_options(settings, self._choice.planar, config.geometry.coded_hw)
        facts = container_facts(config.container_format)
        if facts.lacks_timestamps or not facts.stores_reordered_times:
            # Packets are presented in the order in which they are stored.
            options["bf"] = "0"
        self.stream = self._add_stream(output, options)
        self.stream_index = self.stream.index
        self._note_changes()
        self.notes += describe_losses(
            info.side_data,
            self._color,
            encoder=self._choice.encoder,
            codec=self.stream.codec_context.codec.canonical_name,
            container=output.format.name,
            pixel_format=self._choice.planar,
        )

    @property
    def stores_alpha(self) -> bool:
        """Whether the encoded frames have the alpha of the source."""
        return self._choice.planar.has_alpha

    def _add_stream(self, output: OutputContainer, options: dict[str, str]) -> VideoStream:
        info, settings = self._info, self._settings
        stream = output.add_stream(self._choice.encoder, info.average_rate or _DEFAULT_RATE)
        if not isinstance(stream, VideoStream):
            raise MediaError(f"{self._choice.encoder} is not a video encoder")
        # Comes first, because it resets the codec's settings.
        write_to_container(stream, info.side_data)
        context = stream.codec_context
        context.height, context.width = self._geometry.coded_hw
        context.pix_fmt = self._choice.name
        context.time_base = stream.time_base = info.time_base
        if settings.codec == "h265" and output.format.name in _MOV_FORMATS:
            # Apple's players open HEVC only under this tag (ISO/IEC 14496-15, 8.4.1).
            context.codec_tag = "hvc1"
        context.sample_aspect_ratio = self._geometry.sample_aspect_ratio
        _write_color_tags(context, self._color)
        if self._color.chroma_location and self._choice.planar.model == "yuv":
            options["chroma_sample_location"] = str(self._color.chroma_location)
        context.thread_count = settings.threads
        # With slice threads alone, x264 would split every frame into slices.
        context.thread_type = "AUTO"
        context.flags |= Flags.frame_duration
        if info.field_order in _FIELD_ORDER_CODES:
            context.field_order = _FIELD_ORDER_CODES[info.field_order]
        if info.field_order in _INTERLACED and settings.spec.supports_interlaced_coding:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            if settings.codec == "h264":
                fields = "tff=1" if info.field_order == "top first" else "bff=1"
                others = options.get("x264-params")
                options["x264-params"] = f"{others}:{fields}" if others else fields
        add_encoder_parameters(options, self._choice.encoder, info.side_data)
        context.options = options
        if settings.codec == "av1":
            # SVT-AV1 logs to the terminal; only this variable turns that off.
            os.environ.setdefault("SVT_LOG", "0")
        if self._geometry.quarter_turns or self._geometry.mirrored:
            stream.set_display_matrix(display_matrix(self._geometry))
        return stream

    def _note_changes(self) -> None:
        source, choice, settings = self._info.pixel_format, self._choice, self._settings
        if choice.planar != source:
            self.notes.append(describe_change(source, choice.planar, choice.loss))
        is_444 = choice.planar.model != "gray" and choice.planar.chroma_shift_xy == (0, 0)
        if is_444 and settings.codec in _FOR_PLAYERS:
            self.notes.append(
                f"{settings.codec} in 4:4:4, as the source: many players cannot show it; "
                "add --chroma 420 for a video that all can"
            )
        stores_flags = settings.spec.supports_interlaced_coding or settings.codec == "ffv1"
        if self._info.field_order in _INTERLACED and not stores_flags:
            self.notes.append(
                f"{settings.codec} cannot encode interlaced: both fields are kept, the flag is lost"
            )

    def packets(self, frame: Frame) -> Iterator["Packet[VideoStream]"]:
        """Encode a frame; yield the packets that are complete.

        Raises:
            MediaError: The frame has another size, pixel format or time base than the source.
        """
        info = self._info
        if frame.coded_hw != self._geometry.coded_hw or frame.pixel_format != info.pixel_format:
            height, width = self._geometry.coded_hw
            raise MediaError(
                f"frame {frame.index} is {frame.coded_hw[1]}x{frame.coded_hw[0]} "
                f"{frame.pixel_format.name}, the video {width}x{height} {info.pixel_format.name}"
            )
        if frame.timestamp.time_base != info.time_base:
            raise MediaError(
                f"frame {frame.index} has the time base {frame.timestamp.time_base}, "
                f"the video {info.time_base}"
            )
        av_frame = self._av_frame(frame)
        ticks = av_frame.pts or 0
        self._durations[ticks] = frame.duration_ticks
        self._end_ticks = ticks + max(1, frame.duration_ticks)
        yield from self._with_durations(self._encode(av_frame))

    def flush(self) -> Iterator["Packet[VideoStream]"]:
        """Yield the remaining packets; nothing can be encoded afterwards."""
        encoded = self._encode(None)
        if self._first_dts is None and self._choice.encoder == "libx265":
            # For one or two frames, x265 reads decoding times from uninitialized memory.
            all_dts = decode_timestamps([packet.pts or 0 for packet in encoded])
            for packet, dts in zip(encoded, all_dts, strict=True):
                packet.dts = dts
        packets = list(self._with_durations(encoded))
        if packets and packets[-1].dts is not None and self._first_dts is not None:
            # MP4 sums durations in decoding order; the sum must end with the last frame.
            decoded_ticks = packets[-1].dts - self._first_dts
            packets[-1].duration = max(1, self._end_ticks - self._first_pts - decoded_ticks)
        yield from packets

    def _encode(self, av_frame: av.VideoFrame | None) -> "list[Packet[VideoStream]]":
        packets = cast("list[Packet[VideoStream]]", self.stream.encode(av_frame))
        if self._settings.codec == "dnxhr":
            for packet in packets:
                _write_dnxhr_matrix(packet, self._color.matrix)
        return packets

    def _with_durations(
        self, packets: "Iterable[Packet[VideoStream]]"
    ) -> Iterator["Packet[VideoStream]"]:
        for packet in packets:
            duration = self._durations.pop(packet.pts, 0) if packet.pts is not None else 0
            if duration:
                packet.duration = duration
            if self._first_dts is None:
                self._first_dts, self._first_pts = packet.dts, packet.pts or 0
            yield packet

    def _av_frame(self, frame: Frame) -> av.VideoFrame:
        planar = self._choice.planar
        converted = convert_frame(frame, planar)
        height, width = converted.coded_hw
        av_frame = av.VideoFrame(width, height, planar.name)
        for view, plane in zip(plane_views(av_frame, planar), converted.planes, strict=True):
            view[...] = plane
        if self._choice.name != planar.name:
            av_frame = repacked(av_frame, self._choice.name)
        _write_color_tags(av_frame, self._color)
        av_frame.pts = frame.timestamp.ticks - self._offset_ticks
        av_frame.duration = frame.duration_ticks
        av_frame.time_base = self._info.time_base
        if not frame.interlaced:
            return av_frame
        return self._field_order_writer.with_flags(av_frame, top_first=frame.top_field_first)


def _write_color_tags(
    destination: "av.VideoFrame | av.VideoCodecContext", color: ColorTags
) -> None:
    is_private = color.transfer in (PRINTING_DENSITY, HALF_FLOAT)
    destination.colorspace = color.matrix
    destination.color_primaries = color.primaries
    destination.color_trc = _UNSPECIFIED if is_private else color.transfer
    destination.color_range = (2 if color.full_range else 1) if color.range_known else 0


def _write_dnxhr_matrix(packet: "Packet[VideoStream]", matrix: int) -> None:
    """Write the matrix into the header of a DNxHR frame: FFmpeg's encoder always writes BT.709."""
    data = bytearray(bytes(packet))
    data[_COLOR_VOLUME_BYTE] &= ~(3 << _COLOR_VOLUME_SHIFT)
    data[_COLOR_VOLUME_BYTE] |= _COLOR_VOLUMES.get(matrix, _OTHER_VOLUME) << _COLOR_VOLUME_SHIFT
    packet.update(bytes(data))


def display_matrix(geometry: DisplayGeometry) -> list[int]:
    """Return FFmpeg's display matrix of a geometry: 16.16 fixed point, the last column 2.30."""
    turns = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
    a, b, c, d = turns[geometry.quarter_turns]
    if geometry.mirrored:
        a, b = -a, -b
    unit = 1 << 16
    return [a * unit, b * unit, 0, c * unit, d * unit, 0, 0, 0, 1 << 30]
