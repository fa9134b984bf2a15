"""Parts of a film, each encoded by itself, and their packets put together again.

A part begins with a key frame and refers to no other, so that packets of parts in a row are those
of a film. They are stored as the encoder gave them, payloads in one file and an index in another:
containers would round their times or leave some out.
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
from vidrestore.media.output.muxer import Muxer, VideoEncoderConfig
from vidrestore.prefetch import BackgroundWriter
from vidrestore.storage.sync import flush_and_sync
from vidrestore.types import Frame

_FRAMES_WAITING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketEntry:
    """One packet of an index; times in ticks of the index's time base."""

    pts: int
    duration: int
    is_key: bool
    size_bytes: int

    def __post_init__(self) -> None:
        if self.size_bytes < 1 or self.duration < 0:
            raise ValueError(f"impossible packet: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentIndex:
    """The packets of a part in decoding order."""

    time_base: Fraction
    end_ticks: int
    """Where its last frame ends."""
    packets: tuple[PacketEntry, ...]

    def to_json(self) -> str:
        """Return it as text."""
        packets = [[p.pts, p.duration, int(p.is_key), p.size_bytes] for p in self.packets]
        fields = {"time_base": str(self.time_base), "end": self.end_ticks, "packets": packets}
        return json.dumps(fields, separators=(",", ":")) + "\n"

    @staticmethod
    def from_json(text: str) -> "SegmentIndex":
        """Return what ``to_json`` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            fields = json.loads(text)
            packets = tuple(
                PacketEntry(pts=int(pts), duration=int(length), is_key=bool(key), size_bytes=size)
                for pts, length, key, size in fields["packets"]
            )
            base = Fraction(fields["time_base"])
            return SegmentIndex(time_base=base, end_ticks=int(fields["end"]), packets=packets)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an index of packets: {error}") from error


class VideoSegmentWriter:
    """Encodes the frames of one segment, on its own thread."""

    def __init__(self, path: Path, *, plan: VideoEncoderConfig, target: Path) -> None:
        """Begin a part.

        Args:
            path: Where payloads go; the index goes beside it, as ``.json``.
            plan: How the film's pictures are encoded.
            target: What errors name.
        """
        self.path = path
        self.notes: list[str] = []
        """None: all that there is to say is said of the whole film."""
        self.frame_count = 0
        self._target = target
        self._packets: list[PacketEntry] = []
        self._end_ticks = 0
        self._plan = plan
        # Some flags of encoders follow from the container; nothing is written into this one.
        self._container = av.open(io.BytesIO(), "w", format=plan.container_format)
        self._encoder = plan.encoder(self._container)
        with media_errors(target, "write"):
            self._payloads: BinaryIO = path.open("wb")
        self._behind = BackgroundWriter(self._encode, size=_FRAMES_WAITING)

    @property
    def encode_seconds(self) -> float:
        """How long frames were encoded so far, on the thread of this sink."""
        return self._behind.busy_seconds

    def write(self, frame: Frame) -> None:
        """Queue a frame for the encoder; frames come in presentation order.

        Raises:
            MediaError: Encoding or writing failed, of this frame or of one before.
        """
        self._behind.put(frame)
        self.frame_count += 1
        ticks = frame.timestamp.ticks - self._plan.shift_ticks
        self._end_ticks = ticks + max(1, frame.duration_ticks)

    def finish(self) -> tuple[Path, ...]:
        """Encode what is left; return the files, whole and on the disk.

        Raises:
            MediaError: Encoding or writing failed.
        """
        self._behind.finish()
        index_path = index_path_of(self.path)
        with media_errors(self._target, "write"):
            self._store(self._encoder.remaining())
            flush_and_sync(self._payloads)
            self._payloads.close()
            index = SegmentIndex(
                time_base=self._plan.info.time_base,
                end_ticks=self._end_ticks,
                packets=tuple(self._packets),
            )
            with index_path.open("wb") as file:
                file.write(index.to_json().encode())
                flush_and_sync(file)
        self._container.close()
        return (self.path, index_path)

    def abandon(self) -> None:
        """Stop at once; what is written is of no use."""
        self._behind.abandon()
        self._payloads.close()
        self._container.close()

    def _encode(self, frame: Frame) -> None:
        with media_errors(self._target, "write"):
            self._store(self._encoder.packets(frame))

    def _store(self, packets: "Iterable[Packet[VideoStream]]") -> None:
        for packet in packets:
            if packet.pts is None:
                raise MediaError(
                    f"{self._target}: the encoder returned a packet without a time stamp"
                )
            payload = bytes(packet)
            self._payloads.write(payload)
            self._packets.append(
                PacketEntry(
                    pts=packet.pts,
                    duration=packet.duration or 0,
                    is_key=packet.is_keyframe,
                    size_bytes=len(payload),
                )
            )


def index_path_of(payloads: Path) -> Path:
    """Return where the index of a file of payloads is."""
    return payloads.with_name(f"{payloads.name}.json")


def write_segments(film: Muxer, payloads: Sequence[Path]) -> None:
    """Write the packets of all parts, in order, into a film.

    Args:
        film: Opened for the same pictures as the parts; not finished here.
        payloads: Of every part, its index beside it.

    Raises:
        MediaError: A part cannot be read, or the film not written.
    """
    indexes: list[SegmentIndex] = []
    for path in payloads:
        try:
            indexes.append(SegmentIndex.from_json(index_path_of(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise MediaError(f"{index_path_of(path)}: cannot be read: {error}") from error
    film.set_frame_times(sorted(packet.pts for index in indexes for packet in index.packets))
    film.mux(_packets(film, payloads, indexes))


def _packets(
    film: Muxer, payloads: Sequence[Path], indexes: Sequence[SegmentIndex]
) -> "Iterator[Packet[VideoStream]]":
    entries = [packet for index in indexes for packet in index.packets]
    dts = decode_timestamps([entry.pts for entry in entries])
    at = 0
    for path, index in zip(payloads, indexes, strict=True):
        with media_errors(path), path.open("rb") as file:
            for entry in index.packets:
                payload = file.read(entry.size_bytes)
                if len(payload) != entry.size_bytes:
                    raise MediaError(f"{path}: is truncated; start over with --overwrite")
                packet = cast("Packet[VideoStream]", Packet(payload))
                packet.stream = film.stream
                packet.time_base = index.time_base
                packet.pts, packet.dts = entry.pts, dts[at]
                packet.duration = entry.duration
                packet.is_keyframe = entry.is_key
                if at + 1 == len(entries):
                    # MP4 adds up durations in decoding order; they end where the last frame does.
                    spent = dts[-1] - dts[0]
                    packet.duration = max(1, index.end_ticks - min(e.pts for e in entries) - spent)
                at += 1
                yield packet
