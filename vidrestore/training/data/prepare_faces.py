"""From any photographs to aligned faces that are fit for training, with the reasons of the rest."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.training.data.archives import pictures_under, read_classes, read_picture
from vidrestore.training.data.component_boxes import COMPONENTS, component_boxes
from vidrestore.training.data.dataset import aligned_mask
from vidrestore.training.data.face_table import POINT_COLUMNS, FaceRow, load_aligned
from vidrestore.training.data.photo_checks import (
    clipped_shares,
    native_px,
    outside_share,
    spectral_px,
    yaw_ratio,
)
from vidrestore.types import CROP_SIZE_PX

TABLE = "faces.tsv"
_SEARCH_PX = 1024
_SHARP_ENOUGH = 0.62
"""From this part of its pixels on, a spectrum is taken for that of a plain photograph: of studio
portraits nine in ten show more, and enlarging by 1.35 shows less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """Which faces are fit."""

    size_px: int = CROP_SIZE_PX
    """Side of an aligned face; one with fewer real pixels is kept at those, never enlarged."""
    least_px: int = 192
    """Real pixels, by size and by sharpness, that a face must have in its aligned crop."""
    least_score: float = 0.9
    """Of the detector."""
    turned: float = 0.33
    """How far the nose may lie off the middle of the eyes, in eye distances; 0.35 is 45 degrees."""
    outside: float = 0.02
    """Part of the face, from brow to chin, that may lie beyond the picture."""
    burnt: float = 0.12
    """Part of the face that may be burnt out, or black."""
    largest_only: bool = False
    """Whether of every photograph only the largest face is looked at."""

    def __post_init__(self) -> None:
        if self.size_px % 32 or not 32 <= self.size_px <= CROP_SIZE_PX:
            raise ConfigError(f"size_px must be a multiple of 32 up to 512, got {self.size_px}")
        if not 32 <= self.least_px <= self.size_px:
            raise ConfigError(f"least_px must be 32 to size_px, got {self.least_px}")


@dataclass(slots=True, kw_only=True)
class Prepared:
    """What became of the photographs."""

    pictures: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Reason -> faces (or pictures) dropped for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedPhoto:
    """An aligned face and what was measured on it."""

    crop_hwc: NDArray[np.uint8]
    points_xy: NDArray[np.float64]
    """``(5, 2)`` in the crop."""
    native_px: float
    effective_px: float
    """The lesser of real pixels and of what the spectrum shows."""
    found: FaceRow
    """As it is in the photograph."""
    photograph_hw: tuple[int, int]


Labels: TypeAlias = Callable[[str, AlignedPhoto], NDArray[np.uint8]]
"""The photograph's path below the source, and a face of it ``(S, S, 3)``, to ``(S, S)`` classes."""


def masks_in(folder: Path) -> Labels:
    """Return the classes of faces from masks of whole photographs.

    Args:
        folder: Or archive; holds a PNG, as big as the photograph, at each one's path. Parts of
            an aligned face that lie beyond the photograph get ``UNKNOWN_CLASS``.
    """

    def labels(origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        path = folder / Path(origin).with_suffix(".png")
        classes = read_classes(path)
        if classes.shape != face.photograph_hw:
            raise ConfigError(
                f"{path}: {classes.shape[1]} x {classes.shape[0]}, but the photograph is "
                f"{face.photograph_hw[1]} x {face.photograph_hw[0]}"
            )
        return aligned_mask(face.found, classes, side_px=face.crop_hwc.shape[0])

    return labels


def prepare(
    source: Path,
    target: Path,
    *,
    detector: Detector,
    config: PrepareConfig,
    labels: Labels | None = None,
) -> Prepared:
    """Write every fit face of ``source`` to ``target``: PNGs, ``faces.tsv``, masks.

    Args:
        source: A folder, searched to its depths, or a zip or tar archive of photographs.
        target: An empty or new folder.
        detector: Finds faces and their five points.
        config: Which faces are fit.
        labels: Where given, ``masks/NAME.png`` is written beside every face.

    Returns:
        How many were kept, and why others were not.

    Raises:
        ConfigError: ``source`` holds no pictures, or ``target`` holds files, or a mask is missing.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: is not an empty folder; name another, or empty it")
    target.mkdir(parents=True, exist_ok=True)
    report = Prepared()
    with (target / TABLE).open("w", newline="", encoding="utf-8") as file:
        boxes = [f"{name}_{side}" for name in COMPONENTS for side in ("x0", "y0", "x1", "y1")]
        columns = ["file", *POINT_COLUMNS, "eff_res512", "native_px", "source", "mask", *boxes]
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(columns)
        for path in pictures_under(source):
            report.pictures += 1
            origin = path.relative_to(source).as_posix()
            for face in _fit_faces(path, detector, config, report.dropped):
                name = f"{report.kept:06d}.png"
                _write(target / name, face.crop_hwc[:, :, ::-1])
                mask = ""
                if labels is not None:
                    mask = f"masks/{name}"
                    (target / "masks").mkdir(exist_ok=True)
                    _write(target / mask, labels(origin, face))
                numbers = [*face.points_xy.ravel(), face.effective_px, face.native_px]
                cells = [f"{number:.1f}" for number in numbers]
                corners = [f"{edge:.1f}" for edge in component_boxes(face.points_xy).ravel()]
                table.writerow([name, *cells, origin, mask, *corners])
                report.kept += 1
    if not report.pictures:
        raise ConfigError(f"{source}: holds no pictures")
    return report


def _fit_faces(
    path: Path, detector: Detector, config: PrepareConfig, dropped: Counter[str]
) -> Iterator[AlignedPhoto]:
    try:
        picture = read_picture(path)
    except ConfigError:
        dropped["unreadable"] += 1
        return
    found = _found(picture, detector, config.least_score)
    if not found:
        dropped["no face"] += 1
    if config.largest_only and len(found) > 1:
        dropped["beside a larger face"] += len(found) - 1
        found = [max(found, key=native_px)]
    for points in found:
        reason, face = judged(picture, points, config)
        if face is None:
            dropped[reason] += 1
        else:
            yield face


def judged(
    picture_hwc: NDArray[np.uint8], points_xy: NDArray[np.float64], config: PrepareConfig
) -> tuple[str, AlignedPhoto | None]:
    """Return a face aligned and measured, or why it is not fit.

    Args:
        picture_hwc: The photograph, RGB.
        points_xy: ``(5, 2)`` landmarks in it.
        config: Which faces are fit.
    """
    native = native_px(points_xy)
    if native < config.least_px:
        return "too small", None
    if yaw_ratio(points_xy) > config.turned:
        return "turned too far", None
    if outside_share(points_xy, picture_hwc.shape[:2]) > config.outside:
        return "cut by the border", None
    side = min(config.size_px, int(native))
    row = FaceRow(picture=Path(), tile_xywh=None, points_xy=points_xy, effective_px=native)
    crop, points = load_aligned(row, side_px=side, sheet=picture_hwc)
    burnt, black = clipped_shares(crop, points)
    if burnt > config.burnt:
        return "overexposed", None
    if black > config.burnt:
        return "too dark", None
    shown = spectral_px(crop)
    effective = native if shown > _SHARP_ENOUGH * side else shown
    if effective < config.least_px:
        return "too blurred", None
    return "", AlignedPhoto(
        crop_hwc=crop,
        points_xy=points,
        native_px=native,
        effective_px=effective,
        found=row,
        photograph_hw=(picture_hwc.shape[0], picture_hwc.shape[1]),
    )


def _found(
    picture: NDArray[np.uint8], detector: Detector, least_score: float
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces; where there are none, looks again with a frame around.

    Detectors miss faces that fill a picture nearly to its edges.
    """
    found = _detected(picture, detector, least_score)
    if found:
        return found
    margin = max(picture.shape[:2]) // 2
    sides = (margin, margin, margin, margin)
    framed = cv2.copyMakeBorder(picture, *sides, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    seen = _detected(np.asarray(framed, dtype=np.uint8), detector, least_score)
    return [points - margin for points in seen]


def _detected(
    picture: NDArray[np.uint8], detector: Detector, least_score: float
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces, found at a bounded size and placed at the full one."""
    height, width = picture.shape[:2]
    shrink = min(1.0, _SEARCH_PX / max(height, width))
    size_wh = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = picture
    if shrink < 1:
        small = np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    (seen,) = detector.detect([small])
    back = np.array([[width / size_wh[0], 0, 0], [0, height / size_wh[1], 0]], dtype=np.float64)
    back[:, 2] = (back[[0, 1], [0, 1]] - 1) / 2
    good = [face for face in seen if face.score >= least_score]
    # A closer look is less sure of what only resembles a face.
    looked = detector.refine(small, good)
    borne_out = [face for face in looked if face is not None and face.score >= least_score]
    return [face.mapped(back).landmarks_xy.astype(np.float64) for face in borne_out]


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture)):
        raise ConfigError(f"{path}: could not be written")
