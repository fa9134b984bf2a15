"""Times of frames in AVI, which numbers its packets and has no timestamps.

Where a codec reorders frames, FFmpeg gives them the places of their packets, which are in decoding
order. Every encoder counts on something else: a frame is shown when the decoder, a fixed number of
packets late, gives it out. Places without a packet, which repeat a picture, then fall where they
are meant to.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import av.error
from av.video.stream import VideoStream

from vidrestore.media.input.demuxer import is_damage
from vidrestore.media.input.probe import open_container

_MAX_PACKETS = 64
# Their decoders hold one frame at most, whatever is missing at the beginning.
_ONE_IS_HELD = frozenset({"mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3"})


def delay_ticks(path: Path, stream_index: int) -> int:
    """Return how much later than its own packet the decoder gives out the first frame.

    Raises:
        MediaError: The film cannot be read.
    """
    with open_container(path) as container:
        stream = next(each for each in container.streams.video if each.index == stream_index)
        places: list[int] = []
        for packet in container.demux(stream):
            if packet.size and packet.dts is not None:
                places.append(packet.dts)
                # The frame is to tell which packet it is of.
                packet.pts = packet.dts
            if len(places) > _MAX_PACKETS:
                break
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if not is_damage(error):
                    raise
                continue
            for frame in frames:
                return _delay(frame, places, stream)
    return 0


def _delay(frame: av.VideoFrame, places: list[int], stream: VideoStream) -> int:
    if frame.pts not in places:
        return 0
    since = places[places.index(frame.pts) :]
    held = len(since) - 1
    if frame.dts is not None:
        held = since.index(frame.dts) if frame.dts in since else held
    if stream.codec_context.codec.canonical_name in _ONE_IS_HELD:
        held = min(held, 1)
    return since[held] - since[0]


def with_presentation_times(
    frames: Iterable[av.VideoFrame], *, delay_ticks: int, step: Callable[[], int]
) -> Iterator[av.VideoFrame]:
    """Give frames the times at which they are shown.

    Args:
        frames: As a decoder gives them, each with the place of the packet that brought it out; the
            last ones, which none did, follow one by one.
        delay_ticks: How many places late the decoder is.
        step: Tells the time between such frames when it is asked.
    """
    last = -1
    for frame in frames:
        last = last + step() if frame.dts is None else frame.dts - delay_ticks
        frame.pts = last
        yield frame
