"""Pictures through a video codec and back, in memory: how training sees compression."""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

CodecName: TypeAlias = Literal["mpeg1video", "mpeg2video", "mpeg4", "h264"]

_CONTAINER = "matroska"


def encode_decode(
    pictures: Sequence[NDArray[np.uint8]], *, codec: CodecName, quantiser: int
) -> list[NDArray[np.uint8]]:
    """Return ``pictures`` after one lossy generation, 4:2:0, 25 frames a second.

    Args:
        pictures: ``(H, W, 3)`` uint8 RGB, all of one even size.
        codec: The encoder.
        quantiser: Fixed quantiser: 2 to 31 for MPEG codecs, 0 to 51 for H.264.
    """
    buffer = io.BytesIO()
    height, width = pictures[0].shape[:2]
    with av.open(buffer, "w", format=_CONTAINER) as container:
        options = {"qp": str(quantiser), "preset": "veryfast"} if codec == "h264" else {}
        stream = container.add_stream(
            "libx264" if codec == "h264" else codec, rate=Fraction(25), options=options
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        if codec != "h264":
            stream.codec_context.qmin = stream.codec_context.qmax = quantiser
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r", format=_CONTAINER) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
