"""Finds cuts frame by frame, with a short delay."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector

from vidrestore.faces.config import ShotConfig
from vidrestore.faces.detection.detector import Picture

T = TypeVar("T")

DELAY_FRAMES = 2
"""A frame is judged after this many further frames."""

THUMBNAIL_SIDE_PX = 160
"""Longer side of the pictures to compare; larger ones find cuts no better, but take longer."""

WARM_UP_FRAMES = 4 * DELAY_FRAMES
"""Most earlier frames that a decision depends on."""

_ANY_RATE_FPS = 25.0  # positions are counted in frames; PySceneDetect insists on a rate
_VIEW_WIDTH_PX = 128
_SKETCH_WH = (32, 24)
_FLAT_STD = 1.0


def mark_cuts(
    items: Iterable[T], picture_of: Callable[[T], Picture], *, config: ShotConfig | None = None
) -> Iterator[tuple[T, bool]]:
    """Yield every item in order, with whether a new shot begins there.

    Holds ``DELAY_FRAMES`` items. The first item begins no new shot.
    """
    detector = ShotDetector(config)
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        cut = detector.push(picture_of(item))
        if cut is not None:
            yield waiting.popleft(), cut
    for cut in detector.finish():
        yield waiting.popleft(), cut


class _Sketch(NamedTuple):
    grey: NDArray[np.float32]
    """Coarse rendering in [0, 255]."""
    pattern: NDArray[np.float32]
    """The same with mean 0 and variance 1; zeros if the picture is flat."""


class ShotDetector:
    """Finds hard cuts; fades, flashes, flicker, pans and scratches are not cuts.

    PySceneDetect's adaptive detector proposes frames that differ from the one before much
    more than their neighbours do. Frames that have nothing in common with the one before are
    proposed too, for where every picture is another, nothing stands out. A proposal counts only
    where no picture just before it looks like one just after it, brightness and contrast
    set aside: that leaves out flashes, dropped-in frames and flicker.
    """

    def __init__(self, config: ShotConfig | None = None) -> None:
        """Start before the first frame."""
        self._config = config or ShotConfig()
        self._changes = AdaptiveDetector(
            adaptive_threshold=self._config.change_ratio,
            min_content_val=self._config.min_change,
            min_scene_len=1,
            window_width=DELAY_FRAMES,
            weights=ContentDetector.LUMA_ONLY_WEIGHTS,
        )
        self._sketches: deque[_Sketch | None] = deque(maxlen=2 * DELAY_FRAMES + 2)
        self._views: deque[Picture] = deque(maxlen=DELAY_FRAMES + 1)
        self._fed = 0
        self._seen = 0

    def push(self, picture: Picture) -> bool | None:
        """Take the next picture, ``(h, w, 3)`` RGB of any size.

        Returns:
            Whether a shot begins with the picture ``DELAY_FRAMES`` before this one; None while
            there is none.
        """
        self._views.append(self._shrunk(picture))
        self._seen += 1
        if self._seen <= DELAY_FRAMES:
            return None
        if self._seen > DELAY_FRAMES + 1:
            return self._feed(self._views[-1])
        self._feed_start()
        return False

    def finish(self) -> list[bool]:
        """Return the remaining decisions, in order."""
        owed = min(DELAY_FRAMES, self._seen)
        if self._seen <= DELAY_FRAMES:
            self._feed_start()
        # Mirrored at both ends, motion there stands out no more than anywhere else.
        mirrored = [
            self._views[max(-2 - step, -len(self._views))]
            for step in range(DELAY_FRAMES)
            if self._views
        ]
        verdicts = [self._feed(view, mirrored=True) for view in mirrored]
        self._seen = 0
        return verdicts[DELAY_FRAMES - owed :]

    def _feed_start(self) -> None:
        views = list(self._views)
        for view in reversed(views[1:]):
            self._feed(view, mirrored=True)
        for view in views:
            self._feed(view)

    def _shrunk(self, picture: Picture) -> Picture:
        factor = max(1, picture.shape[1] // _VIEW_WIDTH_PX)
        height, width = (max(1, side // factor) for side in picture.shape[:2])
        # Averaging whole blocks is several times faster than any other ratio.
        whole = picture[: height * factor, : width * factor]
        if self._views:
            height, width = self._views[-1].shape[:2]
        small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8)

    def _feed(self, view: Picture, *, mirrored: bool = False) -> bool:
        """Return whether a shot begins ``DELAY_FRAMES`` before ``view``."""
        position = FrameTimecode(self._fed, _ANY_RATE_FPS)
        found = self._changes.process_frame(position, cv2.cvtColor(view, cv2.COLOR_RGB2BGR))
        self._sketches.append(None if mirrored else _sketched(view))
        self._fed += 1
        sketches = list(self._sketches)
        before = [sketch for sketch in sketches[: -DELAY_FRAMES - 1] if sketch]
        after = [sketch for sketch in sketches[-DELAY_FRAMES - 1 :] if sketch]
        if not before or not (found or self._is_another(before[-1], after[0])):
            return False
        alike = max(_correlation(one, other) for one in before for other in after)
        return alike < self._config.same_shot_correlation

    def _is_another(self, one: _Sketch, other: _Sketch) -> bool:
        change = float(np.abs(one.grey - other.grey).mean())
        unlike = _correlation(one, other) < self._config.other_shot_correlation
        return unlike and change >= self._config.min_change


def _correlation(one: _Sketch, other: _Sketch) -> float:
    return float((one.pattern * other.pattern).mean())


def _sketched(view: Picture) -> _Sketch:
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    coarse = np.asarray(cv2.resize(grey, _SKETCH_WH, interpolation=cv2.INTER_AREA), np.float32)
    spread = float(coarse.std())
    pattern = (coarse - coarse.mean()) / spread if spread > _FLAT_STD else np.zeros_like(coarse)
    return _Sketch(coarse, pattern)
