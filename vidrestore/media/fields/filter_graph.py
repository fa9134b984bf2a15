"""Runs FFmpeg's filters, mostly on planes as gray frames of the same bit depth."""

from collections.abc import Sequence
from fractions import Fraction

import av
import av.error
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from numpy.typing import NDArray

from vidrestore.media.color.pixel_formats import PLANAR, plane_views
from vidrestore.types import PixelFormat, Plane

# The timestamp of a frame is its number; the caller knows the time of each number.
_NUMBER_TIME_BASE = Fraction(1, 1)
_RATE = Fraction(1)


class FilterGraph:
    """A chain of filters for frames of one size and format, with one input or more."""

    def __init__(
        self,
        chain: Sequence[tuple[str, str]],
        *,
        size_hw: tuple[int, int],
        format_name: str,
        inputs: int = 1,
    ) -> None:
        """Configure the chain.

        Args:
            chain: Names of filters and their arguments; the first takes all inputs.
            size_hw: Height and width of the frames.
            format_name: FFmpeg's name of their pixel format.
            inputs: Number of frames that are pushed together.
        """
        graph = Graph()
        height, width = size_hw
        arguments = (
            f"video_size={width}x{height}:pix_fmt={format_name}:time_base={_NUMBER_TIME_BASE}"
            f":frame_rate={_RATE}"
        )
        self._inputs: list[FilterContext] = [graph.add("buffer", arguments) for _ in range(inputs)]
        self._graph = graph
        steps = [graph.add(name, options) for name, options in chain]
        for pad, buffer in enumerate(self._inputs):
            buffer.link_to(steps[0], 0, pad)
        self._sink = graph.add("buffersink")
        for before, after in zip(steps, [*steps[1:], self._sink], strict=True):
            before.link_to(after)
        graph.configure()

    def push(self, *av_frames: av.VideoFrame) -> list[av.VideoFrame]:
        """Feed one frame to every input and return the output that is ready."""
        for buffer, av_frame in zip(self._inputs, av_frames, strict=True):
            buffer.push(av_frame)
        return self._pull_all()

    def flush(self) -> list[av.VideoFrame]:
        """Signal the end of input, and return the remaining output."""
        for buffer in self._inputs:
            buffer.push(None)
        return self._pull_all()

    def _pull_all(self) -> list[av.VideoFrame]:
        output: list[av.VideoFrame] = []
        while True:
            try:
                av_frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return output
            assert isinstance(av_frame, av.VideoFrame)
            output.append(av_frame)


def gray_frame(plane: Plane, number: int) -> av.VideoFrame:
    """Return a plane as a numbered gray frame of 8 or 16 bits."""
    height, width = plane.shape
    name = "gray16le" if plane.dtype == np.uint16 else "gray"
    av_frame = av.VideoFrame(width, height, name)
    (samples,) = plane_views(av_frame, PLANAR[name])
    samples[...] = plane
    return with_number(av_frame, number)


def with_number(av_frame: av.VideoFrame, number: int) -> av.VideoFrame:
    """Return the frame, with its number as timestamp."""
    av_frame.pts, av_frame.time_base = number, _NUMBER_TIME_BASE
    return av_frame


def luma_8bit(plane: Plane, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Return a plane rounded down to 8 bits per sample, which is enough to compare frames."""
    shift = pixel_format.bit_depth - 8
    return np.asarray(plane >> shift if shift else plane, dtype=np.uint8)
