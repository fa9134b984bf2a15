"""Which field of a decoded frame is the earlier one.

PyAV tells it of streams only, and what containers say of a stream is often the other way round.
FFmpeg's ``separatefields`` obeys the flag of each frame and copies nothing: so where the samples
begin that it gives first tells which field that is.
"""

import av

from vidrestore.media.fields.filter_graph import FilterGraph


class FieldOrderReader:
    """Reads the order of fields off decoded frames."""

    def __init__(self) -> None:
        self._filter: FilterGraph | None = None
        self._made_for: tuple[int, int, str] | None = None

    def is_top_first(self, decoded: av.VideoFrame) -> bool:
        """Return whether an interlaced frame is flagged as having its top field first."""
        if decoded.height < 2:
            return True
        shape = (decoded.height, decoded.width, decoded.format.name)
        if self._filter is None or self._made_for != shape:
            self._made_for = shape
            self._filter = FilterGraph(
                [("separatefields", "")], size_hw=shape[:2], format_name=shape[2]
            )
        # After the second field of the frame before comes the first one of this.
        first = self._filter.pushed(decoded)[-1]
        return first.planes[0].buffer_ptr == decoded.planes[0].buffer_ptr
