"""Reads and writes the field order of frames.

PyAV cannot get or set this flag, and the field order of a whole stream in a container is often
wrong. FFmpeg's filters ``separatefields`` and ``setfield`` read and write the flag.
"""

import av

from vidrestore.media.fields.filter_graph import FilterGraph


class FieldOrderReader:
    """Reads the field order of decoded frames.

    ``separatefields`` copies nothing, so the address of the first field's samples tells which field
    it is.
    """

    def __init__(self) -> None:
        self._filter: FilterGraph | None = None
        self._filter_shape: tuple[int, int, str] | None = None

    def is_top_first(self, av_frame: av.VideoFrame) -> bool:
        """Return whether the flag of an interlaced frame says that its top field is first."""
        if av_frame.height < 2:
            return True
        shape = (av_frame.height, av_frame.width, av_frame.format.name)
        if self._filter is None or self._filter_shape != shape:
            self._filter_shape = shape
            self._filter = FilterGraph(
                [("separatefields", "")], size_hw=shape[:2], format_name=shape[2]
            )
        # The output is the second field of the previous frame, then the first field of this one.
        first = self._filter.push(av_frame)[-1]
        return first.planes[0].buffer_ptr == av_frame.planes[0].buffer_ptr


class FieldOrderWriter:
    """Flags frames of one size and pixel format as interlaced."""

    def __init__(self) -> None:
        self._filters: dict[bool, FilterGraph] = {}

    def with_flags(self, av_frame: av.VideoFrame, *, top_first: bool) -> av.VideoFrame:
        """Return the frame, flagged as interlaced with this field first."""
        if top_first not in self._filters:
            self._filters[top_first] = FilterGraph(
                [("setfield", "tff" if top_first else "bff")],
                size_hw=(av_frame.height, av_frame.width),
                format_name=av_frame.format.name,
            )
        pts, duration, time_base = av_frame.pts, av_frame.duration, av_frame.time_base
        (flagged,) = self._filters[top_first].push(av_frame)
        flagged.pts, flagged.duration, flagged.time_base = pts, duration, time_base
        return flagged
