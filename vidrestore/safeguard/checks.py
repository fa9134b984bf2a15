"""Checks on the source face: score, pose, occlusion, quality."""

from math import atan2, degrees

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.affine import apply_affine, compose_affines, invert_affine
from vidrestore.media.color.region_rgb import aligned_box
from vidrestore.safeguard.assessment import assess, strictest
from vidrestore.safeguard.config import (
    BLOCKS,
    EYE_CORRELATION,
    FACE_CORRELATION,
    NOISE,
    RESOLUTION_PX,
    SCORE,
    YAW_DEGREES,
    SafeguardConfig,
)
from vidrestore.safeguard.image_quality import (
    block_edges,
    effective_resolution_px,
    fine_noise,
)
from vidrestore.safeguard.occlusion import mean_face_correlation
from vidrestore.types import (
    Affine,
    AlignedFace,
    Assessment,
    DisplayGeometry,
    FloatArray,
    Frame,
    TrackedFace,
)

_LUMA = (0.299, 0.587, 0.114)
_NOSE_DEPTH = 0.35
"""Depth of the nose tip in front of the eyes, in eye distances, from which yaw is computed."""
_FACE_CORNERS_XY = np.array([[112, 160], [400, 160], [112, 448], [400, 448]])


def check_track(face: TrackedFace, config: SafeguardConfig) -> Assessment:
    """Return the assessment of score, pose and quality of the track so far."""
    return strictest(
        [
            assess(SCORE(face.score), "unsure"),
            assess(YAW_DEGREES(yaw_degrees(face.landmarks_xy)), "turned"),
            assess(1.0 - config.keep_good * face.source_quality, "already good"),
        ]
    )


def check_occlusion(aligned: AlignedFace) -> Assessment:
    """Return the assessment of whether the crop shows an unobstructed face."""
    face, eye = mean_face_correlation(crop_luma(aligned.crop_chw))
    return assess(min(FACE_CORRELATION(face), EYE_CORRELATION(eye)), "occluded")


def crop_luma(crop_chw: Tensor) -> FloatArray:
    """Return ``(S, S)`` float32 in [0, 255] of an RGB crop in [0, 1]."""
    if crop_chw.device.type == "cpu" and crop_chw.stride(0) == 1:
        # The memory layout is OpenCV's; torch would rearrange it first.
        weights_rgb = np.array([_LUMA], dtype=np.float32) * np.float32(255.0)
        return np.asarray(cv2.transform(crop_chw.permute(1, 2, 0).numpy(), weights_rgb), np.float32)
    weights = crop_chw.new_tensor(_LUMA) * 255.0
    luma = torch.einsum("chw,c->hw", crop_chw, weights)
    return np.ascontiguousarray(luma.cpu().numpy(), dtype=np.float32)


def yaw_degrees(landmarks_xy: FloatArray) -> float:
    """Return the yaw of a face, from the position of the nose between the eyes.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks in any pixels.
    """
    return degrees(atan2(yaw_ratio(landmarks_xy), _NOSE_DEPTH))


def yaw_ratio(landmarks_xy: FloatArray | NDArray[np.float64]) -> float:
    """Return the distance of the nose from the middle of the eyes, in eye distances.

    0 is frontal, about 0.35 is 45 degrees.

    Args:
        landmarks_xy: ``(5, 2)`` landmarks in any pixels.
    """
    left_eye, right_eye, nose = landmarks_xy[:3].astype(np.float64)
    eye_to_eye = right_eye - left_eye
    position = float((nose - left_eye) @ eye_to_eye / max(1e-9, float(eye_to_eye @ eye_to_eye)))
    return abs(position - 0.5)


def affine_roll_radians(display_to_crop: Affine) -> float:
    """Return the angle of the frame's rows in a crop."""
    return atan2(display_to_crop[1, 0], display_to_crop[0, 0])


def crop_resolution_px(aligned: AlignedFace, luma_hw: FloatArray) -> float:
    """Return ``effective_resolution_px`` of a crop."""
    return effective_resolution_px(
        luma_hw, roll_radians=affine_roll_radians(aligned.display_to_crop)
    )


def quality_deficit(
    frame: Frame,
    geometry: DisplayGeometry,
    *,
    display_to_crop: Affine,
    square_hw: FloatArray,
    resolution_px: float,
) -> float:
    """Return how much quality a face lacks, 0 to 1: 0 if sharp and free of noise and blocks.

    Args:
        frame: The decoded frame.
        geometry: Display geometry of the frame.
        display_to_crop: Where its crop is.
        square_hw: ``central_square`` of the ``crop_luma`` of its crop of full size.
        resolution_px: ``crop_resolution_px`` of its crop.
    """
    blur = RESOLUTION_PX(resolution_px)
    if blur == 1.0:
        return 1.0
    noise = NOISE(fine_noise(square_hw))
    return max(blur, noise, BLOCKS(_block_edges(frame, geometry, display_to_crop)))


def _block_edges(frame: Frame, geometry: DisplayGeometry, display_to_crop: Affine) -> float:
    coded_to_crop = compose_affines(geometry.coded_to_display(), display_to_crop)
    corners = apply_affine(invert_affine(coded_to_crop), _FACE_CORNERS_XY)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    box = aligned_box(frame, (float(left), float(top), float(right), float(bottom)))
    if box is None:
        return 0.0
    plane = frame.planes[0][box[1] : box[3], box[0] : box[2]]
    return block_edges(plane, origin_xy=box[:2], max_value=frame.pixel_format.max_value)
