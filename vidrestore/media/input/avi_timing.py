"""Presentation times for AVI, which numbers its packets and has no timestamps.

Where a codec reorders frames, FFmpeg numbers them by their packets, in decoding order. Encoders
expect a player to show a frame when the decoder returns it, a fixed number of packets late. So a
number without a packet, which repeats a frame, repeats the right one.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import av
import av.error
from av.video.stream import VideoStream

from vidrestore.media.input.demuxer import is_damage
from vidrestore.media.input.probe import open_container

_MAX_PACKETS = 64
# Their decoders delay one frame at most, even if packets are missing at the start.
_MAX_ONE_FRAME_LATE = frozenset({"mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3"})


def delay_ticks(path: Path, stream_index: int) -> int:
    """Return how many packets late the decoder returns the first frame.

    Raises:
        MediaError: The file cannot be read.
    """
    with open_container(path) as container:
        stream = cast(VideoStream, container.streams[stream_index])
        packet_numbers: list[int] = []
        for packet in container.demux(stream):
            if packet.size and packet.dts is not None:
                packet_numbers.append(packet.dts)
                # Carries the number of the packet over to the frame.
                packet.pts = packet.dts
            if len(packet_numbers) > _MAX_PACKETS:
                break
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if not is_damage(error):
                    raise
                continue
            for frame in frames:
                return _delay(frame, packet_numbers, stream)
    return 0


def _delay(frame: av.VideoFrame, packet_numbers: list[int], stream: VideoStream) -> int:
    if frame.pts not in packet_numbers:
        return 0
    later_numbers = packet_numbers[packet_numbers.index(frame.pts) :]
    delay = len(later_numbers) - 1
    if frame.dts is not None:
        delay = later_numbers.index(frame.dts) if frame.dts in later_numbers else delay
    if stream.codec_context.codec.canonical_name in _MAX_ONE_FRAME_LATE:
        delay = min(delay, 1)
    return later_numbers[delay] - later_numbers[0]


def with_presentation_times(
    frames: Iterable[av.VideoFrame], *, delay_ticks: int, step: Callable[[], int]
) -> Iterator[av.VideoFrame]:
    """Yield frames with their presentation times.

    Args:
        frames: From a decoder. The ``dts`` of a frame is the number of the packet that was decoded
            last; frames drained at the end have none.
        delay_ticks: How many packets late the decoder is.
        step: Returns the time between frames that were drained.
    """
    ticks = -1
    for frame in frames:
        ticks = ticks + step() if frame.dts is None else frame.dts - delay_ticks
        frame.pts = ticks
        yield frame
