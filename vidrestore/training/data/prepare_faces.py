"""Prepares a training set: aligned faces from photographs, and why others are left out."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.faces.detection.detector import Detector
from vidrestore.training.data.archives import list_images, read_image, read_labels
from vidrestore.training.data.celebamask import read_part_labels
from vidrestore.training.data.component_boxes import (
    boxes_of_dense_landmarks,
    boxes_of_labels,
    component_boxes,
)
from vidrestore.training.data.face_table import (
    BOX_COLUMNS,
    POINT_COLUMNS,
    FaceRow,
    align_labels,
    load_aligned,
)
from vidrestore.training.data.photo_checks import (
    clipping_ratios,
    native_px,
    outside_ratio,
    spectral_px,
    yaw_ratio,
)
from vidrestore.types import CROP_SIZE_PX

TABLE = "faces.tsv"
_SEARCH_PX = 1024
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


@dataclass(slots=True, kw_only=True)
class PrepareReport:
    """Counts of a preparation."""

    images: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Reason -> faces, or images, that were left out for it."""


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


LabelSource: TypeAlias = Callable[[str, AlignedPhoto], NDArray[np.uint8]]
"""Returns labels ``(S, S)`` for the photograph's path below the source and a face of it."""


LandmarkSource: TypeAlias = Callable[[str, AlignedPhoto], NDArray[np.float64] | None]
"""Returns 68 landmarks in the crop of a face of the photograph's path, or None."""


def labels_from_images(folder: Path) -> LabelSource:
    """Return a source that aligns label images of whole photographs.

    Args:
        folder: A folder or archive with a PNG of the photograph's size at each photograph's path.
            Parts of an aligned face outside of the photograph get ``UNKNOWN_LABEL``.
    """

    def labels(origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        path = folder / Path(origin).with_suffix(".png")
        labels_hw = read_labels(path)
        if labels_hw.shape != face.photograph_hw:
            raise ConfigError(
                f"{path}: {labels_hw.shape[1]} x {labels_hw.shape[0]}, but the photograph is "
                f"{face.photograph_hw[1]} x {face.photograph_hw[0]}"
            )
        return align_labels(face.row, labels_hw, side_px=face.crop_hwc.shape[0])

    return labels


def labels_from_celebamask(root: Path) -> LabelSource:
    """Return a source that aligns the masks of CelebAMask-HQ, smaller than its photographs.

    Args:
        root: The published folder; ``celebamask`` says what it holds.
    """

    def labels(origin: str, face: AlignedPhoto) -> NDArray[np.uint8]:
        labels_hw = read_part_labels(root, int(Path(origin).stem))
        (height, width), (photo_height, photo_width) = labels_hw.shape, face.photograph_hw
        if height * photo_width != width * photo_height:
            raise ConfigError(
                f"{root}, photograph {origin}: masks of {width} x {height} do not fit "
                f"{photo_width} x {photo_height}"
            )
        side_px, scale = face.crop_hwc.shape[0], width / photo_width
        return align_labels(face.row, labels_hw, side_px=side_px, scale=scale)

    return labels


def prepare_faces(
    source: Path,
    target: Path,
    *,
    detector: Detector,
    config: PrepareConfig,
    labels: LabelSource | None = None,
    images: Iterable[Path] | None = None,
    landmarks: LandmarkSource | None = None,
) -> PrepareReport:
    """Write every suitable face of ``source`` to ``target``: PNGs, ``faces.tsv``, labels.

    Args:
        source: A folder, with its subfolders, or a zip or tar archive of photographs.
        target: An empty or new folder.
        detector: Finds faces and their landmarks.
        config: Conditions on a face.
        labels: If given, ``masks/NAME.png`` is written for every face.
        images: The photographs below ``source`` to take; all where None.
        landmarks: If given, decides the boxes of eyes and mouth; else labels, else five landmarks.

    Returns:
        The number of faces written, and why others were left out.

    Raises:
        ConfigError: ``source`` holds no images, ``target`` holds files, or labels are missing.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target}: the folder is not empty; choose an empty one")
    target.mkdir(parents=True, exist_ok=True)
    report = PrepareReport()
    with (target / TABLE).open("w", newline="", encoding="utf-8") as file:
        columns = [
            "file",
            *POINT_COLUMNS,
            "eff_res512",
            "native_px",
            "source",
            "mask",
            *BOX_COLUMNS,
        ]
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(columns)
        for path in list_images(source) if images is None else images:
            report.images += 1
            origin = path.relative_to(source).as_posix()
            for face in _suitable_faces(path, detector, config, report.dropped):
                name = f"{report.kept:06d}.png"
                _write(target / name, face.crop_hwc[:, :, ::-1])
                mask, labels_hw = "", None
                if labels is not None:
                    mask, labels_hw = f"masks/{name}", labels(origin, face)
                    (target / "masks").mkdir(exist_ok=True)
                    _write(target / mask, labels_hw)
                numbers = [*face.points_xy.ravel(), face.effective_px, face.native_px]
                cells = [f"{number:.1f}" for number in numbers]
                dense_xy = None if landmarks is None else landmarks(origin, face)
                boxes = _boxes(face, labels_hw, dense_xy)
                corners = [f"{edge:.1f}" for edge in boxes.ravel()]
                table.writerow([name, *cells, origin, mask, *corners])
                report.kept += 1
    if not report.images:
        raise ConfigError(f"{source}: holds no images")
    return report


def _boxes(
    face: AlignedPhoto, labels_hw: NDArray[np.uint8] | None, dense_xy: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the boxes of eyes and mouth by the best that is known of a face."""
    if dense_xy is not None:
        return boxes_of_dense_landmarks(dense_xy, side_px=face.crop_hwc.shape[0])
    if labels_hw is not None:
        return boxes_of_labels(labels_hw, face.points_xy)
    return component_boxes(face.points_xy)


def _suitable_faces(
    path: Path, detector: Detector, config: PrepareConfig, dropped: Counter[str]
) -> Iterator[AlignedPhoto]:
    try:
        image = read_image(path)
    except ConfigError:
        dropped["unreadable"] += 1
        return
    faces = _detect(image, detector, config.min_score)
    if not faces:
        dropped["no face"] += 1
    if config.largest_only and len(faces) > 1:
        dropped["not the largest face"] += len(faces) - 1
        faces = [max(faces, key=native_px)]
    for points in faces:
        reason, face = check_face(image, points, config)
        if face is None:
            dropped[reason] += 1
        else:
            yield face


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
    image: NDArray[np.uint8], detector: Detector, min_score: float
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces; if there are none, search again with a border added.

    Detectors miss faces that fill an image nearly to its edges.
    """
    faces = _detect_once(image, detector, min_score)
    if faces:
        return faces
    margin = max(image.shape[:2]) // 2
    sides = (margin, margin, margin, margin)
    bordered = cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(128, 128, 128))
    faces = _detect_once(np.asarray(bordered, dtype=np.uint8), detector, min_score)
    return [points - margin for points in faces]


def _detect_once(
    image: NDArray[np.uint8], detector: Detector, min_score: float
) -> list[NDArray[np.float64]]:
    """Return the landmarks of all faces, detected at a bounded size, in the full one."""
    height, width = image.shape[:2]
    shrink = min(1.0, _SEARCH_PX / max(height, width))
    size_wh = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = image
    if shrink < 1:
        small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    (faces,) = detector.detect([small])
    to_full = np.array([[width / size_wh[0], 0, 0], [0, height / size_wh[1], 0]], dtype=np.float64)
    to_full[:, 2] = (to_full[[0, 1], [0, 1]] - 1) / 2
    faces = [face for face in faces if face.score >= min_score]
    # Refinement gives false positives a lower score.
    refined = detector.refine(small, faces)
    confirmed = [face for face in refined if face is not None and face.score >= min_score]
    return [face.mapped(to_full).landmarks_xy.astype(np.float64) for face in confirmed]


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), np.ascontiguousarray(image)):
        raise ConfigError(f"{path}: cannot be written")
