"""Restores the frames of a clip in whatever order they are requested."""

from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import dropwhile

from vidrestore.faces.tracking.shot_detection import (
    DELAY_FRAMES,
    THUMBNAIL_SIDE_PX,
    WARM_UP_FRAMES,
    mark_cuts,
)
from vidrestore.faces.tracking.tracker import TrackingStart
from vidrestore.media.color.preview import preview_luma
from vidrestore.pipeline.setup import Setup
from vidrestore.settings import RestoreSettings
from vidrestore.types import FinishedFrame, Frame
from vidrestore.vapoursynth.clip_source import ClipSource

_KEPT_FRAMES = 32
"""Restored frames that wait for requests: VapourSynth asks for some out of order."""
_BLOCK_FRAMES = 128
"""Frames that are searched at a time for the start of a shot."""


class ClipRestorer:
    """Restores from a frame on while the next ones are asked for; a jump starts again there."""

    def __init__(self, source: ClipSource, settings: RestoreSettings) -> None:
        """Load the networks; see ``restore``."""
        self._source = source
        setup = Setup(source=source, settings=settings)
        background = setup.background()
        self.scale = 1 if background is None else background.scale
        # Frames are asked for in a thread of VapourSynth, which goes on with others only while
        # it waits itself: threads of ours would wait for it, and it for them.
        self._stages = replace(setup.stages(background), overlap=False)
        self._kept: OrderedDict[int, Frame] = OrderedDict()
        self._run: Generator[FinishedFrame] | None = None
        self._next_index = 0

    def frame(self, index: int) -> Frame:
        """Return a restored frame."""
        if index not in self._kept:
            is_near = self._next_index <= index < self._next_index + _KEPT_FRAMES
            if self._run is None or not is_near:
                self._run = self._run_from(index)
            try:
                self._restore_to(index)
            except BaseException:
                self._run = None  # it ended; another request starts a new one
                raise
        return self._kept[index]

    def _restore_to(self, index: int) -> None:
        assert self._run is not None
        for finished in self._run:
            self._kept[finished.source.index] = finished.frame
            self._next_index = finished.source.index + 1
            if len(self._kept) > _KEPT_FRAMES:
                self._kept.popitem(last=False)
            if finished.source.index >= index:
                break

    def _run_from(self, index: int) -> Generator[FinishedFrame]:
        """Yield the restored frames from the one at ``index`` on."""
        start = self._shot_start(index)
        context = self._stages.context_frames
        first_decoded = max(0, start - WARM_UP_FRAMES)
        tracked = self._stages.analyze(
            self._source.frames(first_decoded), start=TrackingStart(frame_index=start)
        )
        with_context = dropwhile(lambda frame: frame.frame.index < index - context, tracked)
        for finished in self._stages.restore(with_context):
            if finished.source.index >= index:
                yield finished

    def _shot_start(self, index: int) -> int:
        """Return the first frame of the shot that a frame is in."""
        end = index + 1
        while True:
            first = max(0, end - _BLOCK_FRAMES)
            cuts = [number for number in self._cuts(first, end) if number <= index]
            if cuts or first == 0:
                return max(cuts, default=0)
            end = first

    def _cuts(self, first: int, end: int) -> Iterator[int]:
        """Yield the first frames of shots from ``first`` up to, but not including, ``end``."""
        frames = self._source.frames(
            max(0, first - WARM_UP_FRAMES), min(end + DELAY_FRAMES, self._source.frame_count)
        )
        frames_and_cuts = mark_cuts(frames, lambda frame: preview_luma(frame, THUMBNAIL_SIDE_PX))
        for frame, is_cut in frames_and_cuts:
            if is_cut and first <= frame.index < end:
                yield frame.index
