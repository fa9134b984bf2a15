"""A frame that waits in the tracker until its faces are final."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from vidrestore.faces.tracking.shot_detection import LumaImage
from vidrestore.faces.tracking.track import Observation, Track
from vidrestore.types import Detection, Frame, RgbView, TrackedFace

VIEW_MAX_SIDE_PX = 640
"""Longer side of the image that is searched for faces, in pixels."""
View = Callable[[Frame, int], RgbView]
"""Renders a frame upright with at most so many pixels on the longer side."""
Thumbnail = Callable[[Frame], LumaImage]
"""Renders the luma of a frame, small."""


@dataclass(frozen=True, eq=False)
class BufferedFrame:
    """A frame, its luma, and its view for the detector, rendered when they are first needed."""

    frame: Frame
    seconds: float
    render: View
    thumbnail: Thumbnail | None = None
    """Renders the luma; the view where None."""

    @cached_property
    def view(self) -> RgbView:
        """The view; observations are in its pixels."""
        return self.render(self.frame, VIEW_MAX_SIDE_PX)

    @cached_property
    def luma(self) -> LumaImage:
        """The luma, for finding cuts and changes."""
        if self.thumbnail is not None:
            return self.thumbnail(self.frame)
        return np.asarray(cv2.cvtColor(self.view.rgb_hwc, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def observe(self, face: Detection) -> Observation:
        """Return the observation of a face in this frame."""
        return Observation(self.frame.index, self.seconds, face)

    def tracked_face(self, track: Track, observation: Observation) -> TrackedFace:
        """Return a face of a track in display pixels."""
        face = observation.face.mapped(self.view.view_to_display)
        return TrackedFace(
            track_id=track.track_id or 0,
            box_xyxy=face.box_xyxy,
            score=face.score,
            landmarks_xy=face.landmarks_xy,
            raw_landmarks_xy=face.landmarks_xy,
            interpolated=observation.interpolated,
        )
