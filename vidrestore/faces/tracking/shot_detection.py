"""Finds hard cuts frame by frame, with a short delay."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

T = TypeVar("T")

LumaImage = NDArray[np.uint8]
"""``(h, w)``, 0 is black and 255 white."""

DELAY_FRAMES = 2
"""Whether a frame begins a shot is decided after this many further frames."""

THUMBNAIL_SIDE_PX = 160
"""Longer side of the images that are compared; larger ones find cuts no better, but slower."""

WARM_UP_FRAMES = 4 * DELAY_FRAMES
"""Most earlier frames that a decision depends on."""

_ANY_RATE_FPS = 25.0  # positions are counted in frames; PySceneDetect insists on a rate
_VIEW_WIDTH_PX = 128
_COARSE_WH = (32, 24)
_FLAT_STD = 1.0
_CHANGE_RATIO = 2.5
"""Minimum ratio of a frame's difference from the previous one to that of its neighbors."""
_MIN_CHANGE = 6.0
"""Mean difference in brightness, of 255, below which nothing is a cut."""
_SAME_SHOT_CORRELATION = 0.7
"""Correlation from which the images before and after belong to one shot."""
_OTHER_SHOT_CORRELATION = 0.2
"""Correlation with the previous image below which a shot begins, whatever else moves."""


def mark_cuts(items: Iterable[T], image_of: Callable[[T], LumaImage]) -> Iterator[tuple[T, bool]]:
    """Yield every item in order, with whether a new shot begins there.

    Buffers ``DELAY_FRAMES`` items. The first item begins no new shot.
    """
    detector = ShotDetector()
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        cut = detector.push(image_of(item))
        if cut is not None:
            yield waiting.popleft(), cut
    for cut in detector.finish():
        yield waiting.popleft(), cut


class _CoarseImage(NamedTuple):
    gray: NDArray[np.float32]
    """In [0, 255]."""
    pattern: NDArray[np.float32]
    """The same with mean 0 and variance 1; zeros if the image is flat."""


class _LumaChanges(AdaptiveDetector):
    """Measures changes in luma alone: PySceneDetect would convert every image to HSV first."""

    def __init__(self) -> None:
        super().__init__(
            adaptive_threshold=_CHANGE_RATIO,
            min_content_val=_MIN_CHANGE,
            min_scene_len=1,
            window_width=DELAY_FRAMES,
        )
        self._previous: LumaImage | None = None

    def _calculate_frame_score(self, timecode: FrameTimecode, frame_img: LumaImage) -> float:
        previous, self._previous = self._previous, frame_img
        if previous is None:
            return 0.0
        return float(cv2.norm(frame_img, previous, cv2.NORM_L1)) / frame_img.size


class ShotDetector:
    """Finds hard cuts; fades, flashes, flicker, pans and scratches are not cuts.

    PySceneDetect's adaptive detector proposes frames that differ from the one before much more
    than their neighbors do. Frames that have nothing in common with the one before are proposed,
    too, because nothing stands out where every image is different. A proposal counts only if no
    image just before it looks like one just after it, whatever their brightness and contrast:
    that rejects flashes, single odd frames and flicker.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._changes = _LumaChanges()
        self._coarse_images: deque[_CoarseImage | None] = deque(maxlen=2 * DELAY_FRAMES + 2)
        self._views: deque[LumaImage] = deque(maxlen=DELAY_FRAMES + 1)
        self._fed_count = 0
        self._pushed_count = 0

    def push(self, image: LumaImage) -> bool | None:
        """Take the next image, of any size.

        Returns:
            Whether a shot begins with the image ``DELAY_FRAMES`` before this one; None if there
            is no such image.
        """
        self._views.append(self._shrink(image))
        self._pushed_count += 1
        if self._pushed_count <= DELAY_FRAMES:
            return None
        if self._pushed_count > DELAY_FRAMES + 1:
            return self._feed(self._views[-1])
        self._feed_start()
        return False

    def finish(self) -> list[bool]:
        """Return the remaining decisions, in order."""
        pending = min(DELAY_FRAMES, self._pushed_count)
        if self._pushed_count <= DELAY_FRAMES:
            self._feed_start()
        # Mirrored at both ends, so that motion there stands out no more than elsewhere.
        mirrored = [
            self._views[max(-2 - step, -len(self._views))]
            for step in range(DELAY_FRAMES)
            if self._views
        ]
        decisions = [self._feed(view, mirrored=True) for view in mirrored]
        self._pushed_count = 0
        return decisions[DELAY_FRAMES - pending :]

    def _feed_start(self) -> None:
        views = list(self._views)
        for view in reversed(views[1:]):
            self._feed(view, mirrored=True)
        for view in views:
            self._feed(view)

    def _shrink(self, image: LumaImage) -> LumaImage:
        factor = max(1, image.shape[1] // _VIEW_WIDTH_PX)
        height, width = (max(1, side // factor) for side in image.shape)
        # Averaging whole blocks is several times faster than any other ratio.
        whole_blocks = image[: height * factor, : width * factor]
        if self._views:
            height, width = self._views[-1].shape
        small = cv2.resize(whole_blocks, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8)

    def _feed(self, view: LumaImage, *, mirrored: bool = False) -> bool:
        """Return whether a shot begins ``DELAY_FRAMES`` before ``view``."""
        position = FrameTimecode(self._fed_count, _ANY_RATE_FPS)
        is_proposed_cut = self._changes.process_frame(position, view)
        self._coarse_images.append(None if mirrored else _coarse_image(view))
        self._fed_count += 1
        coarse_images = list(self._coarse_images)
        before = [image for image in coarse_images[: -DELAY_FRAMES - 1] if image]
        after = [image for image in coarse_images[-DELAY_FRAMES - 1 :] if image]
        if not before or not (is_proposed_cut or self._differs(before[-1], after[0])):
            return False
        correlation = max(_correlation(first, second) for first in before for second in after)
        return correlation < _SAME_SHOT_CORRELATION

    def _differs(self, first: _CoarseImage, second: _CoarseImage) -> bool:
        change = float(np.abs(first.gray - second.gray).mean())
        is_other = _correlation(first, second) < _OTHER_SHOT_CORRELATION
        return is_other and change >= _MIN_CHANGE


def _correlation(first: _CoarseImage, second: _CoarseImage) -> float:
    return float((first.pattern * second.pattern).mean())


def _coarse_image(view: LumaImage) -> _CoarseImage:
    coarse = np.asarray(cv2.resize(view, _COARSE_WH, interpolation=cv2.INTER_AREA), np.float32)
    spread = float(coarse.std())
    pattern = (coarse - coarse.mean()) / spread if spread > _FLAT_STD else np.zeros_like(coarse)
    return _CoarseImage(coarse, pattern)
