"""Finds the faces of a photograph that are fit for training, aligns and measures them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import compose_affines, invert_affine
from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.safeguard.checks import yaw_ratio
from vidrestore.training.data.archives import read_image
from vidrestore.training.data.face_table import FaceRow, load_aligned
from vidrestore.training.data.preparation.photo_checks import (
    clipping_ratios,
    native_px,
    outside_ratio,
    spectral_px,
)
from vidrestore.types import CROP_SIZE_PX, Affine

_READ_PX = 1024
"""Longer side of the image that landmarks are read in, at most."""
_SEARCHED_FACE_PX = 36
"""Box of the smallest suitable face in the image that is searched; MTCNN finds faces of 24 px."""
_BOX_RATIO = 0.55
"""Side of a face's box over that of its aligned crop."""
_NATIVE_RATIO = 0.62
"""Effective over native resolution from which a photograph counts as not enlarged: nine in ten
studio portraits are above it, and enlarging by 1.35 ends below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """Conditions on a face."""

    size_px: int = CROP_SIZE_PX
    """Side of an aligned face; a smaller face keeps its native side, and is never enlarged."""
    min_px: int = 192
    """Minimum side of the aligned crop, both native and effective."""
    min_score: float = 0.9
    """Of the detector."""
    max_yaw_ratio: float | None = None
    """Distance of the nose from the middle of the eyes, in eye distances; 0.35 is 45 degrees. None
    keeps faces of any pose."""
    max_outside_ratio: float = 0.02
    """Part of the face, from brow to chin, that may be outside of the image."""
    max_clipped_ratio: float = 0.12
    """Part of the face that may be overexposed, or black."""
    largest_only: bool = False
    """Take only the largest face of every photograph."""

    def __post_init__(self) -> None:
        if self.size_px % 32 or not 32 <= self.size_px <= CROP_SIZE_PX:
            raise ConfigError(f"size_px must be a multiple of 32 up to 512, got {self.size_px}")
        if not 32 <= self.min_px <= self.size_px:
            raise ConfigError(f"min_px must be 32 to size_px, got {self.min_px}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedPhoto:
    """An aligned face and its measurements."""

    crop_hwc: NDArray[np.uint8]
    points_xy: NDArray[np.float64]
    """``(5, 2)`` in the crop."""
    native_px: float
    effective_px: float
    """The smaller of the native resolution and the spectrum's."""
    row: FaceRow
    """The face in the photograph."""
    photograph_hw: tuple[int, int]


@dataclass(slots=True, kw_only=True, eq=False)
class PhotoFaces:
    """The suitable faces of a photograph, and why others were left out."""

    faces: list[AlignedPhoto] = field(default_factory=list[AlignedPhoto])
    pngs: list[bytes] = field(default_factory=list[bytes])
    """The aligned faces as files."""
    dropped: Counter[str] = field(default_factory=Counter[str])


class PhotoFaceFinder:
    """Finds the suitable faces of photographs; can be sent to other processes.

    Args:
        detector: Finds faces and their landmarks.
        config: Conditions on a face.
    """

    def __init__(self, detector: Detector, config: PrepareConfig) -> None:
        self._detector = detector
        self._config = config

    def __call__(self, path: Path) -> PhotoFaces:
        """Return the suitable faces of a photograph, in a folder or an archive."""
        found, config = PhotoFaces(), self._config
        try:
            image = read_image(path)
        except ConfigError:
            found.dropped["unreadable"] += 1
            return found
        faces = _detect(image, self._detector, config)
        if not faces:
            found.dropped["no face"] += 1
        if config.largest_only and len(faces) > 1:
            found.dropped["not the largest face"] += len(faces) - 1
            faces = [max(faces, key=native_px)]
        for points in faces:
            reason, face = check_face(image, points, config)
            if face is None:
                found.dropped[reason] += 1
            else:
                found.faces.append(face)
                found.pngs.append(encode_png(face.crop_hwc))
        return found


def encode_png(image_hwc: NDArray[np.uint8]) -> bytes:
    """Return an RGB image, or labels ``(H, W)``, as a PNG."""
    bgr = image_hwc[:, :, ::-1] if image_hwc.ndim == 3 else image_hwc
    done, data = cv2.imencode(".png", np.ascontiguousarray(bgr))
    if not done:
        raise ValueError(f"OpenCV encodes no PNG of {image_hwc.shape}")
    return data.tobytes()


def check_face(
    image_hwc: NDArray[np.uint8], points_xy: NDArray[np.float64], config: PrepareConfig
) -> tuple[str, AlignedPhoto | None]:
    """Return a face aligned and measured; or None and why it is not suitable.

    Args:
        image_hwc: The photograph, RGB.
        points_xy: ``(5, 2)`` landmarks in it.
        config: Conditions on a face.
    """
    native = native_px(points_xy)
    if native < config.min_px:
        return "too small", None
    if config.max_yaw_ratio is not None and yaw_ratio(points_xy) > config.max_yaw_ratio:
        return "profile view", None
    if outside_ratio(points_xy, image_hwc.shape[:2]) > config.max_outside_ratio:
        return "cut off by the border", None
    side = min(config.size_px, int(native))
    row = FaceRow(image_path=Path(), tile_xywh=None, points_xy=points_xy, effective_px=native)
    crop, points = load_aligned(row, side_px=side, sheet=image_hwc)
    overexposed, black = clipping_ratios(crop, points)
    if overexposed > config.max_clipped_ratio:
        return "overexposed", None
    if black > config.max_clipped_ratio:
        return "too dark", None
    effective = spectral_px(crop)
    if effective > _NATIVE_RATIO * side:
        effective = native
    if effective < config.min_px:
        return "too blurred", None
    return "", AlignedPhoto(
        crop_hwc=crop,
        points_xy=points,
        native_px=native,
        effective_px=effective,
        row=row,
        photograph_hw=(image_hwc.shape[0], image_hwc.shape[1]),
    )


def _detect(
    image: NDArray[np.uint8], detector: Detector, config: PrepareConfig
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces; if there are none, search again with a border added.

    Detectors miss faces that fill an image nearly to its edges.
    """
    faces = _detect_once(image, detector, config)
    if faces:
        return faces
    margin = max(image.shape[:2]) // 2
    sides = (margin, margin, margin, margin)
    bordered = cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    faces = _detect_once(np.asarray(bordered, dtype=np.uint8), detector, config)
    return [points - margin for points in faces]


def _detect_once(
    image: NDArray[np.uint8], detector: Detector, config: PrepareConfig
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces, searched in a small image, read in a finer one."""
    finer, finer_to_full = _shrunk(image, _READ_PX / max(image.shape[:2]))
    small_enough = _SEARCHED_FACE_PX / (_BOX_RATIO * config.min_px)
    small, small_to_full = _shrunk(image, min(_READ_PX / max(image.shape[:2]), small_enough))
    (faces,) = detector.detect([small])
    to_finer = compose_affines(small_to_full, invert_affine(finer_to_full))
    faces = [face.mapped(to_finer) for face in faces if face.score >= config.min_score]
    # Refinement gives false positives a lower score.
    refined = detector.refine(finer, faces)
    return [
        face.mapped(finer_to_full).landmarks_xy.astype(np.float64)
        for face in refined
        if face is not None and face.score >= config.min_score
    ]


def _shrunk(image: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], Affine]:
    """Return an image, shrunk if ``scale`` is below 1, and the map from it to the full one."""
    height, width = image.shape[:2]
    if scale >= 1:
        return image, np.eye(2, 3)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    to_full = np.array([[width / size_wh[0], 0, 0], [0, height / size_wh[1], 0]], dtype=np.float64)
    to_full[:, 2] = (to_full[[0, 1], [0, 1]] - 1) / 2
    return small, to_full
