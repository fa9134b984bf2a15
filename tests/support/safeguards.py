"""A face of the example in the canonical crop: sharp, covered, with closed eyes, changed."""

from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from support.faces import example_images
from support.frames import GRAY, random_frame
from torch import Tensor

from vidrestore.faces.detection.mtcnn_detector import MtcnnDetector, packaged_mtcnn
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY, similarity_to_template
from vidrestore.types import AlignedFace, AlignedFrame, TrackedFace

SIDE_PX = 512
FloatImage = NDArray[np.float32]


@cache
def face_crop() -> FloatImage:
    """Return the example's face, ``(S, S, 3)`` RGB in [0, 1]."""
    picture = example_images(1)[0]
    (face,) = MtcnnDetector(packaged_mtcnn()).detect([picture])[0]
    to_crop = similarity_to_template(face.landmarks_xy)
    crop = cv2.warpAffine(picture, to_crop, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, dtype=np.float32) / np.float32(255)


def texture(seed: int = 0) -> FloatImage:
    """Return ``(S, S)`` noise whose power falls with frequency as that of photographs; sigma 1."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE_PX), np.fft.fftfreq(SIDE_PX)))
    spectrum = np.fft.fft2(rng.normal(size=(SIDE_PX, SIDE_PX))) / np.maximum(radius, 1e-3) ** 1.3
    picture = np.fft.ifft2(spectrum).real
    return ((picture - picture.mean()) / picture.std()).astype(np.float32)


def sharp_crop() -> FloatImage:
    """Return the face with fine detail down to single pixels."""
    fine = texture()
    fine -= cv2.GaussianBlur(fine, (0, 0), 6.0)
    crop = face_crop() + 0.06 * fine[..., None]
    return np.asarray(np.clip(crop, 0, 1), dtype=np.float32)


def covered_crop() -> FloatImage:
    """Return the face with its left half behind something."""
    crop = face_crop().copy()
    crop[:, :256] = 0.5 + 0.1 * texture(3)[:, :256, None]
    return crop.clip(0, 1)


def closed_eyes_crop() -> FloatImage:
    """Return the face with both eyes closed: skin, and a dark line."""
    crop = face_crop().copy()
    for x in (193, 319):
        skin = crop[285:300, x - 30 : x + 30].mean(axis=(0, 1))
        lid = np.zeros((SIDE_PX, SIDE_PX), np.float32)
        cv2.ellipse(lid, (x, 240), (44, 26), 0, 0, 360, 1.0, -1)
        lid = cv2.GaussianBlur(lid, (0, 0), 4)[..., None]
        crop = crop * (1 - lid) + skin * lid
        cv2.ellipse(crop, (x, 244), (34, 8), 0, 0, 180, (0.25, 0.15, 0.12), 3)
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), 1.5), dtype=np.float32)


def closed_mouth_crop() -> FloatImage:
    """Return the face with lips where its teeth are."""
    crop = face_crop().copy()
    lips = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    cv2.ellipse(lips, (257, 378), (66, 24), 0, 0, 360, 1.0, -1)
    lips = cv2.GaussianBlur(lips, (0, 0), 5)[..., None]
    crop = crop * (1 - lips) + np.array([0.62, 0.36, 0.32], np.float32) * lips
    cv2.line(crop, (200, 378), (314, 378), (0.35, 0.18, 0.16), 4)
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), 1.5), dtype=np.float32)


def other_crop() -> FloatImage:
    """Return a face of other proportions and skin: not the person of ``face_crop``."""
    y, x = (axis.astype(np.float32) for axis in np.mgrid[0:SIDE_PX, 0:SIDE_PX])
    below_eyes = np.clip((y - 240) / 200, 0, 1)
    across = 256 + (x - 256) * (1.0 - 0.35 * below_eyes)
    down = y - 28 * np.sin(np.pi * below_eyes)
    face = cv2.remap(face_crop(), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    brow = np.exp(-((y - 205) ** 2) / 120 - (np.abs(x - 256) - 62) ** 2 / 1600)
    beard = np.clip((y - 340) / 30, 0, 1) * (np.hypot(x - 257, (y - 380) * 2.0) > 66)
    dark = np.maximum(brow, 0.75 * beard * (np.hypot(x - 256, y - 300) < 175))[..., None]
    return np.clip(face**1.6 * (1 - 0.85 * dark), 0, 1).astype(np.float32)


def chw(crop_hwc: FloatImage) -> Tensor:
    """Return a crop as the stages hold it."""
    return torch.from_numpy(np.ascontiguousarray(crop_hwc, dtype=np.float32)).permute(2, 0, 1)


def tracked_face(
    *,
    track_id: int = 1,
    score: float = 1.0,
    nose_shift: float = 0.0,
    skip_reason: str | None = None,
) -> TrackedFace:
    """Return a face that fills its frame; the nose lies so many eye distances off the middle."""
    points = TEMPLATE_LANDMARKS_XY.astype(np.float32)
    points[2, 0] += nose_shift * (points[1, 0] - points[0, 0])
    return TrackedFace(
        track_id=track_id,
        box_xyxy=(120, 120, 400, 450),
        score=score,
        landmarks_xy=points,
        raw_landmarks_xy=points,
        skip_reason=skip_reason,
    )


def aligned_face(crop_hwc: FloatImage, face: TrackedFace | None = None) -> AlignedFace:
    """Return a crop as it is cut from a frame of the crop's size."""
    return AlignedFace(
        face=tracked_face() if face is None else face,
        display_to_crop=np.eye(2, 3),
        crop_chw=chw(crop_hwc).contiguous(),
    )


def aligned_frame(
    index: int, *faces: AlignedFace, alone: tuple[TrackedFace, ...] = ()
) -> AlignedFrame:
    """Return a frame with crops; its own samples are small and show nothing."""
    return AlignedFrame(
        frame=random_frame(GRAY, (8, 8), index=index), shot=0, faces=faces, skipped_faces=alone
    )
