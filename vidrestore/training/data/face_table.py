"""Reads tables of faces, and aligns the faces that they list."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import apply_affine, fit_similarity
from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.archives import (
    IMAGE_SUFFIXES,
    exists,
    names,
    read_bytes,
    read_image,
)
from vidrestore.training.data.component_boxes import COMPONENTS
from vidrestore.types import CROP_SIZE_PX

_TABLES = ("tiles.tsv", "faces.tsv")
UNKNOWN_LABEL = 255
"""Label of pixels without a class, which cross-entropy ignores."""
POINT_COLUMNS = ("lex", "ley", "rex", "rey", "nx", "ny", "lmx", "lmy", "rmx", "rmy")
BOX_COLUMNS = tuple(f"{name}_{side}" for name in COMPONENTS for side in ("x0", "y0", "x1", "y1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow:
    """One face of a table."""

    image_path: Path
    tile_xywh: tuple[int, int, int, int] | None
    """The tile of a contact sheet; None for a whole image."""
    points_xy: NDArray[np.float64]
    """``(5, 2)`` relative to the tile."""
    effective_px: float
    """Smallest side of an aligned crop that keeps all detail of the image."""
    labels_path: Path | None = None
    """Label image of the same size as the image; None if the face has no labels."""
    boxes_xyxy: NDArray[np.float64] | None = None
    """``(3, 4)`` boxes of eyes and mouth relative to the tile; None if the table has none."""
    clip: str | None = None
    """Name of the clip that the image is a frame of; None if it is of none."""


def has_table(folder: Path) -> bool:
    """Return whether ``folder`` holds a table of faces, or shards."""
    return any(exists(folder / name) for name in _TABLES) or any(_shards(folder))


def read_table(folder: Path) -> list[FaceRow]:
    """Return the faces that the ``tiles.tsv`` or ``faces.tsv`` of a folder or archive lists.

    Without a table, of its shards: plain tar archives in webdataset's form, with ``KEY.json``
    beside the image ``KEY.png`` (or another suffix) and its labels ``KEY.mask.png``. The JSON
    holds ``points``, ``eff_res512`` and, if known, ``boxes``, as ``FaceRow``.

    Raises:
        ConfigError: The folder holds neither, or a line or a JSON lacks a number or a file.
    """
    for name in _TABLES:
        if exists(folder / name):
            lines = read_bytes(folder / name).decode().splitlines()
            table = csv.DictReader(lines, delimiter="\t")
            return [
                _row(folder, cells, f"{folder / name}, line {number}")
                for number, cells in enumerate(table, start=2)
            ]
    if shards := _shards(folder):
        return [row for shard in shards for row in _shard_rows(shard)]
    raise ConfigError(f"{folder}: contains neither {' nor '.join(_TABLES)} nor shards with JSONs")


def _shards(folder: Path) -> list[Path]:
    """Return the tar archives that hold JSONs, in or at ``folder``."""
    tars = [folder] if folder.suffix == ".tar" and folder.is_file() else folder.glob("*.tar")
    return [tar for tar in sorted(tars) if any(name.endswith(".json") for name in names(tar))]


def _shard_rows(shard: Path) -> Iterator[FaceRow]:
    members: dict[str, dict[str, Path]] = {}
    for name in sorted(names(shard)):
        folder, _, file = name.rpartition("/")
        key, _, suffix = file.partition(".")
        members.setdefault(f"{folder}/{key}", {})[f".{suffix}"] = shard / name
    for files in members.values():
        if ".json" not in files:
            continue
        try:
            cells: dict[str, Any] = json.loads(read_bytes(files[".json"]))
            boxes = cells.get("boxes")
            yield FaceRow(
                image_path=next(files[suffix] for suffix in IMAGE_SUFFIXES if suffix in files),
                tile_xywh=None,
                points_xy=np.array(cells["points"], dtype=np.float64).reshape(5, 2),
                effective_px=float(cells["eff_res512"]),
                labels_path=files.get(".mask.png"),
                boxes_xyxy=None if boxes is None else np.array(boxes, np.float64).reshape(3, 4),
            )
        except (KeyError, StopIteration, TypeError, ValueError) as error:
            raise ConfigError(
                f"{files['.json']}: not a face of a shard ({type(error).__name__}: {error}); pack "
                "the shard again"
            ) from error


def _row(folder: Path, cells: dict[str, str], where: str) -> FaceRow:
    try:
        return _face_row(folder, cells)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: not a row of a face ({type(error).__name__}: {error}); make the table again"
        ) from error


def _face_row(folder: Path, cells: dict[str, str]) -> FaceRow:
    tile = None
    has_boxes = all(cells.get(key) for key in BOX_COLUMNS)
    if "tx" in cells:
        tile = (int(cells["tx"]), int(cells["ty"]), int(cells["tw"]), int(cells["th"]))
    return FaceRow(
        image_path=folder / cells["file"],
        tile_xywh=tile,
        points_xy=_numbers(cells, POINT_COLUMNS).reshape(5, 2),
        effective_px=float(cells["eff_res512"]),
        labels_path=folder / cells["mask"] if cells.get("mask") else None,
        boxes_xyxy=_numbers(cells, BOX_COLUMNS).reshape(3, 4) if has_boxes else None,
        clip=cells.get("clip") or None,
    )


def _numbers(cells: dict[str, str], columns: Sequence[str]) -> NDArray[np.float64]:
    return np.array([float(cells[key]) for key in columns])


def native_side_px(row: FaceRow, *, resolution_scale: float = 1.0) -> int:
    """Return the side of the aligned crop at native resolution, at most ``CROP_SIZE_PX``.

    Args:
        row: The face.
        resolution_scale: Factor of the effective resolution.
    """
    return min(CROP_SIZE_PX, int(row.effective_px * resolution_scale))


def load_aligned(
    row: FaceRow, *, side_px: int, sheet: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the face aligned to the template scaled to ``side_px``, and its landmarks there.

    Args:
        row: The face.
        side_px: Side of the result.
        sheet: The decoded ``row.image_path``, ``(H, W, 3)`` RGB.

    Returns:
        ``(S, S, 3)`` RGB and ``(5, 2)``.
    """
    tile = sheet
    if row.tile_xywh is not None:
        x, y, width, height = row.tile_xywh
        tile = sheet[y : y + height, x : x + width]
    target = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / CROP_SIZE_PX) - 0.5
    to_crop = fit_similarity(row.points_xy, target)
    points_in_crop = apply_affine(to_crop, row.points_xy)
    scale = float(np.hypot(to_crop[0, 0], to_crop[1, 0]))
    if scale < 1:
        # Average over areas first: the warp alone would alias.
        height, width = tile.shape[:2]
        small_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        tile = np.asarray(cv2.resize(tile, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
        ratio = np.array([small_wh[0] / width, small_wh[1] / height])
        points = (row.points_xy + 0.5) * ratio - 0.5
        to_crop = fit_similarity(points, target)
    crop = cv2.warpAffine(
        tile, to_crop, (side_px, side_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(crop, dtype=np.uint8), points_in_crop


def align_labels(
    row: FaceRow, labels_hw: NDArray[np.uint8], *, side_px: int, scale: float = 1.0
) -> NDArray[np.uint8]:
    """Return the labels of a row's image, aligned as the face is, ``(S, S)``.

    Args:
        row: The face.
        labels_hw: Labels of the row's image.
        side_px: S.
        scale: Side of the labels over that of the image.
    """
    target = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / CROP_SIZE_PX) - 0.5
    points = (row.points_xy + 0.5) * scale - 0.5
    aligned = cv2.warpAffine(
        labels_hw,
        fit_similarity(points, target),
        (side_px, side_px),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(UNKNOWN_LABEL,),
    )
    return np.asarray(aligned, dtype=np.uint8)


def cached_image_reader() -> Callable[[Path], NDArray[np.uint8]]:
    """Return a ``read_image`` that caches its last image, for faces sorted by image."""
    last: tuple[Path, NDArray[np.uint8]] | None = None

    def read(path: Path) -> NDArray[np.uint8]:
        nonlocal last
        if last is None or last[0] != path:
            last = (path, read_image(path))
        return last[1]

    return read


def iter_aligned_faces(rows: list[FaceRow], *, min_px: int) -> Iterator[NDArray[np.uint8]]:
    """Yield every face of ``rows`` aligned, ``(S, S, 3)`` RGB, reading each image once.

    S is the native side, rounded down to a multiple of 32. A face below ``min_px`` is enlarged.
    """
    read = cached_image_reader()
    for row in sorted(rows, key=lambda row: str(row.image_path)):
        side_px = max(min_px, native_side_px(row)) // 32 * 32
        yield load_aligned(row, side_px=side_px, sheet=read(row.image_path))[0]
