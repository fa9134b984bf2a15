"""Faces laid into frames without a detector or a network."""

import numpy as np
import torch
from support.faces import tracked_at

from vidrestore.affine import apply_affine
from vidrestore.faces.align import align_face
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.types import (
    CROP_SIZE_PX,
    DisplayGeometry,
    Frame,
    RestoredFace,
    TrackedFace,
)


def face_at(
    center_xy: tuple[float, float], *, size_px: float, angle: float = 0.0, track_id: int = 1
) -> TrackedFace:
    """Return a frontal face whose crop is ``size_px`` wide around ``center_xy``."""
    scale = size_px / 512
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    shift = np.array(center_xy) - linear @ np.array([255.5, 255.5])
    crop_to_display = np.concatenate([linear, shift[:, None]], axis=1)
    points = apply_affine(crop_to_display, TEMPLATE_LANDMARKS_XY).astype(np.float32)
    return tracked_at(points, track_id=track_id)


def restored_face(
    frame: Frame,
    geometry: DisplayGeometry,
    face: TrackedFace,
    *,
    gain: float,
    shift: float = 0.0,
    side_px: int = CROP_SIZE_PX,
) -> RestoredFace:
    """Return ``face`` cut from ``frame``, its contrast multiplied by ``gain``."""
    cut = align_face(frame, geometry, face, device=torch.device("cpu"), side_px=side_px)
    assert cut is not None
    image = ((cut.crop_chw - 0.5) * gain + 0.5 + shift).clamp(0, 1)
    return RestoredFace(aligned=cut, restored_chw=image)
