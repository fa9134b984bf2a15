"""Encodes segments of a video separately, and joins their packets.

A segment starts with a key frame and refers to no other segment, so the packets of consecutive
segments form a video. Payloads are stored in one file and an index in another, because containers
would round timestamps or drop some of them.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.packet import Packet
from av.video.stream import VideoStream

from vidrestore.errors import MediaError
from vidrestore.media.ffmpeg_errors import media_errors
from vidrestore.media.input.clock import decode_timestamps
from vidrestore.media.output.muxer import Muxer
from vidrestore.media.output.segment_writer import SegmentWriter
from vidrestore.media.output.video_encoder import VideoEncoder, VideoEncoderConfig
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketEntry:
    """One packet in an index; times in ticks of the index's time base."""

    pts: int
    duration: int
    is_key: bool
    size_bytes: int

    def __post_init__(self) -> None:
        if self.size_bytes < 1 or self.duration < 0:
            raise ValueError(f"impossible packet: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentIndex:
    """The packets of a segment in decoding order."""

    time_base: Fraction
    end_ticks: int
    """End of its last frame."""
    packets: tuple[PacketEntry, ...]

    def to_json(self) -> str:
        """Return the index as one line of JSON."""
        packets = [[p.pts, p.duration, int(p.is_key), p.size_bytes] for p in self.packets]
        fields = {"time_base": str(self.time_base), "end": self.end_ticks, "packets": packets}
        return json.dumps(fields, separators=(",", ":")) + "\n"

    @staticmethod
    def from_json(text: str) -> "SegmentIndex":
        """Return the index that ``to_json`` wrote.

        Raises:
            ValueError: ``text`` is not an index.
        """
        try:
            fields = json.loads(text)
            packets = tuple(
                PacketEntry(pts=int(pts), duration=int(duration), is_key=bool(key), size_bytes=size)
                for pts, duration, key, size in fields["packets"]
            )
            time_base = Fraction(fields["time_base"])
            return SegmentIndex(time_base=time_base, end_ticks=int(fields["end"]), packets=packets)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an index of packets: {error}") from error


class VideoSegmentWriter(SegmentWriter):
    """Encodes the frames of one segment into a file of packets."""

    def __init__(self, path: Path, *, config: VideoEncoderConfig, target: Path) -> None:
        """Open the encoder and the file.

        Args:
            path: File of the payloads; the index is next to it, with ``.json`` appended.
            config: Settings of the encoder, the same for all segments.
            target: The output, as error messages name it.
        """
        self.path = path
        self._config = config
        self._entries: list[PacketEntry] = []
        self._end_ticks = 0
        # Some encoder flags depend on the container; nothing is written into this one.
        self._container = av.open(io.BytesIO(), "w", format=config.container_format)
        self._encoder = VideoEncoder(self._container, config)
        with media_errors(target, "write"):
            self._payloads: BinaryIO = path.open("wb")
        # The muxer of the output has the notes.
        super().__init__(target, notes=[])

    def _write_frame(self, frame: Frame) -> None:
        with media_errors(self._target, "write"):
            self._store(self._encoder.packets(frame))
        ticks = frame.timestamp.ticks - self._config.offset_ticks
        self._end_ticks = ticks + max(1, frame.duration_ticks)

    def _finish_files(self) -> tuple[Path, ...]:
        self._store(self._encoder.flush())
        flush_and_sync(self._payloads)
        self._close()
        index = SegmentIndex(
            time_base=self._config.info.time_base,
            end_ticks=self._end_ticks,
            packets=tuple(self._entries),
        )
        index_path = index_path_of(self.path)
        with index_path.open("wb") as file:
            file.write(index.to_json().encode())
            flush_and_sync(file)
        return (self.path, index_path)

    def _close(self) -> None:
        self._container.close()
        self._payloads.close()

    def _store(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        for packet in packets:
            if packet.pts is None:
                raise MediaError(f"{self._target}: the encoder returned a packet without timestamp")
            payload = bytes(packet)
            self._payloads.write(payload)
            self._entries.append(
                PacketEntry(
                    pts=packet.pts,
                    duration=packet.duration or 0,
                    is_key=packet.is_keyframe,
                    size_bytes=len(payload),
                )
            )


def index_path_of(payloads: Path) -> Path:
    """Return the path of the index of a file of payloads."""
    return payloads.with_name(f"{payloads.name}.json")


def write_segments(muxer: Muxer, payload_paths: Sequence[Path]) -> None:
    """Write the packets of all segments, in order, into a video.

    Args:
        muxer: Opened with the encoder settings of the segments; it is not finished here.
        payload_paths: Payload files of all segments, each next to its index.

    Raises:
        MediaError: A segment cannot be read, or the video cannot be written.
    """
    indexes = [_read_index(index_path_of(path)) for path in payload_paths]
    muxer.set_frame_times(sorted(entry.pts for index in indexes for entry in index.packets))
    muxer.mux(_packets(muxer.stream, payload_paths, indexes))


def _read_index(path: Path) -> SegmentIndex:
    try:
        return SegmentIndex.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: cannot be read: {error}") from error


def _packets(
    stream: VideoStream, payload_paths: Sequence[Path], indexes: Sequence[SegmentIndex]
) -> "Iterator[Packet[VideoStream]]":
    pts = [entry.pts for index in indexes for entry in index.packets]
    dts = decode_timestamps(pts)
    number = 0
    for path, index in zip(payload_paths, indexes, strict=True):
        with media_errors(path), path.open("rb") as file:
            for entry in index.packets:
                payload = file.read(entry.size_bytes)
                if len(payload) != entry.size_bytes:
                    raise MediaError(f"{path}: truncated; start over with --overwrite")
                packet = cast("Packet[VideoStream]", Packet(payload))
                packet.stream = stream
                packet.time_base = index.time_base
                packet.pts, packet.dts = entry.pts, dts[number]
                packet.duration = entry.duration
                packet.is_keyframe = entry.is_key
                number += 1
                if number == len(pts):
                    # MP4 sums durations in decoding order; the sum must end with the last frame.
                    decoded_ticks = dts[-1] - dts[0]
                    packet.duration = max(1, index.end_ticks - min(pts) - decoded_ticks)
                yield packet
