"""The 68 landmarks that FFHQ comes with (``ffhq-dataset-v2.json``), in aligned faces.

GFP-GAN's component discriminators were trained with boxes of these (section 4.1: "face landmarks
provided in the origin training dataset").
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, fit_similarity
from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import read_bytes
from vidrestore.training.data.component_boxes import DENSE_LANDMARKS
from vidrestore.training.data.preparation.label_sources import LandmarkSource
from vidrestore.training.data.preparation.photo_faces import AlignedPhoto

_EYES = ((36, 42), (42, 48))
_SIDE_PX = 1024


def landmarks_from_ffhq(path: Path) -> LandmarkSource:
    """Return the source of landmarks of FFHQ's list, by the number that names a photograph.

    The landmarks are of the aligned images of 1024 px; photographs of another size are taken for
    these at that size. Where the eyes of list and detector are more than half the distance between
    the eyes apart, the face is another one, and has no landmarks.

    Raises:
        ConfigError: The file is unreadable, or is not such a list.
    """
    try:
        raw: object = json.loads(read_bytes(path))
    except ValueError as error:
        raise ConfigError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: not the list of FFHQ (ffhq-dataset-v2.json)")
    listed = {key: _points(path, key, value) for key, value in cast("dict[str, Any]", raw).items()}

    def landmarks(origin: str, face: AlignedPhoto) -> NDArray[np.float64] | None:
        stem = Path(origin).stem
        points = listed.get(str(int(stem))) if stem.isdigit() else None
        return None if points is None else _in_crop(points, face)

    return landmarks


def _points(path: Path, key: str, entry: Mapping[str, Any]) -> NDArray[np.float64]:
    try:
        points = np.array(entry["image"]["face_landmarks"], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: image {key!r} has no image.face_landmarks") from error
    if points.shape != (DENSE_LANDMARKS, 2):
        raise ConfigError(f"{path}: image {key!r} has landmarks {points.shape}, expected (68, 2)")
    return points


def _in_crop(dense_xy: NDArray[np.float64], face: AlignedPhoto) -> NDArray[np.float64] | None:
    scale = face.photograph_hw[1] / _SIDE_PX
    photo_xy = (dense_xy + 0.5) * scale - 0.5
    five_xy = face.row.points_xy
    eyes = np.stack([photo_xy[first:last].mean(axis=0) for first, last in _EYES])
    apart = float(np.linalg.norm(five_xy[1] - five_xy[0]))
    if float(np.linalg.norm(eyes - five_xy[:2], axis=1).max()) > apart / 2:
        return None
    return apply_affine(fit_similarity(five_xy, face.points_xy), photo_xy)
