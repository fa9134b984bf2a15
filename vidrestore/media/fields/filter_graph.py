"""FFmpeg's filters over planes of gray samples, which take every depth and sampling alike."""

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

# Pictures are numbered, not timed: whoever filters knows what time each number stands for.
NUMBERED = Fraction(1, 1)
_RATE = Fraction(1)


class FilterGraph:
    """A chain of filters that pictures of one format go through; the chain may have two inputs."""

    def __init__(
        self,
        chain: Sequence[tuple[str, str]],
        *,
        size_hw: tuple[int, int],
        format_name: str,
        inputs: int = 1,
    ) -> None:
        """Set up the chain.

        Args:
            chain: Names of filters and their arguments; the first takes all inputs.
            size_hw: Of the pictures.
            format_name: FFmpeg's name of their format.
            inputs: How many pictures come at a time.
        """
        graph = Graph()
        height, width = size_hw
        arguments = (
            f"video_size={width}x{height}:pix_fmt={format_name}:time_base={NUMBERED}"
            f":frame_rate={_RATE}"
        )
        self._inputs: list[FilterContext] = [graph.add("buffer", arguments) for _ in range(inputs)]
        self._graph = graph
        steps = [graph.add(name, given) for name, given in chain]
        for at, each in enumerate(self._inputs):
            each.link_to(steps[0], 0, at)
        self._sink = graph.add("buffersink")
        for before, after in zip(steps, [*steps[1:], self._sink], strict=True):
            before.link_to(after)
        graph.configure()

    def pushed(self, *pictures: av.VideoFrame) -> list[av.VideoFrame]:
        """Feed one picture to every input, and return the output."""
        for entry, picture in zip(self._inputs, pictures, strict=True):
            entry.push(picture)
        return self._ready()

    def finished(self) -> list[av.VideoFrame]:
        """Signal the end of input, and return the remaining output."""
        for entry in self._inputs:
            entry.push(None)
        return self._ready()

    def _ready(self) -> list[av.VideoFrame]:
        found: list[av.VideoFrame] = []
        while True:
            try:
                picture = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return found
            assert isinstance(picture, av.VideoFrame)
            found.append(picture)


def gray_picture(plane: Plane, number: int) -> av.VideoFrame:
    """Return a plane as a gray picture of the same bit depth, numbered."""
    wide = plane.dtype == np.uint16
    height, width = plane.shape
    name = "gray16le" if wide else "gray"
    picture = av.VideoFrame(width, height, name)
    (samples,) = plane_views(picture, PLANAR[name])
    samples[...] = plane
    return numbered(picture, number)


def numbered(picture: av.VideoFrame, number: int) -> av.VideoFrame:
    """Return the picture with its number for a time."""
    picture.pts, picture.time_base = number, NUMBERED
    return picture


def luma_8bit(plane: Plane, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Return a plane with 8 bits per sample, which is enough to compare pictures."""
    shift = pixel_format.bit_depth - 8
    return np.asarray(plane >> shift if shift else plane, dtype=np.uint8)
