"""Remembers a picture that was searched in vain, and tells whether a search can be left out."""

import cv2
import numpy as np

from vidrestore.faces.tracking.shot_detection import THUMBNAIL_SIDE_PX, LumaImage
from vidrestore.types import FloatArray

_CELL_PX = 3
"""Side of the areas over which changes are averaged, in pixels of an image of
``THUMBNAIL_SIDE_PX``: half the side of the smallest face that is found."""
_SAME_WITHIN = 4.0
"""Largest change of a mean, of 255, in a picture that shows the same. Over 120 faces that faded in,
60 to 180 px of 640, the least change at which MTCNN found one was 11.3. Noise with a standard
deviation of 2.5 in a film of 720p changes means by up to 1.7, in one of 360 x 288 by up to 3.1."""
_LONGEST_WAIT_SECONDS = 4.0
"""Longest time without a search while nothing changes."""


class SearchedPicture:
    """The first of a row of equal pictures without a face.

    It is compared to every later one, so that slow changes add up. As noise might have hidden a
    face, an unchanged picture is searched again, at intervals that double.
    """

    def __init__(self, interval_seconds: float) -> None:
        """Remember nothing.

        Args:
            interval_seconds: Time between searches where the picture changes.
        """
        self._interval_seconds = interval_seconds
        self._small: FloatArray | None = None
        self._next_seconds = 0.0
        self._wait_seconds = interval_seconds
        self._needs_rotated = False

    def forget(self) -> None:
        """Forget the picture: a face was found, or another shot begins."""
        self._small = None

    def add_search(self, luma: LumaImage, seconds: float, *, with_rotated: bool) -> None:
        """Remember that a picture was searched at a time, and no face found.

        Args:
            luma: The picture, of any size, [0, 255].
            seconds: Its time.
            with_rotated: Whether it was also searched for faces that lie on their side.
        """
        small = _shrunk(luma)
        if self._small is None or not _is_same(self._small, small):
            self._small = small
            self._wait_seconds = self._interval_seconds
            self._needs_rotated = True
        self._needs_rotated = self._needs_rotated and not with_rotated
        self._wait_seconds = min(2 * self._wait_seconds, _LONGEST_WAIT_SECONDS)
        self._next_seconds = seconds + self._wait_seconds

    def rules_out(self, luma: LumaImage, seconds: float, *, rotated_due: bool) -> bool:
        """Return whether a search would find nothing: the picture was searched and is the same.

        Args:
            luma: The picture, of the size of the others.
            seconds: Its time.
            rotated_due: Whether it is time to search for faces that lie on their side.
        """
        if self._small is None or seconds >= self._next_seconds:
            return False
        if rotated_due and self._needs_rotated:
            return False
        return _is_same(self._small, _shrunk(luma))


def _shrunk(luma: LumaImage) -> FloatArray:
    factor = max(1, max(luma.shape) // THUMBNAIL_SIDE_PX)
    height, width = (max(1, side // factor) for side in luma.shape)
    small = luma[: height * factor, : width * factor]
    if factor > 1:
        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def _is_same(first: FloatArray, second: FloatArray) -> bool:
    if first.shape != second.shape:
        return False
    change = cv2.blur(second - first, (_CELL_PX, _CELL_PX))
    return cv2.norm(change, cv2.NORM_INF) < _SAME_WITHIN
