"""Aligned faces for training, cut from folders and contact sheets as their tables say."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.affine import applied, fit_similarity
from vidrestore.errors import ConfigError
from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.archives import exists, read_bytes, read_picture
from vidrestore.types import CROP_SIZE_PX

_TABLES = ("tiles.tsv", "faces.tsv")
POINT_COLUMNS = ("lex", "ley", "rex", "rey", "nx", "ny", "lmx", "lmy", "rmx", "rmy")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow:
    """One usable face of a table."""

    picture: Path
    tile_xywh: tuple[int, int, int, int] | None
    """The tile of a contact sheet; None for a whole picture."""
    points_xy: NDArray[np.float64]
    """``(5, 2)`` relative to the tile."""
    effective_px: float
    """Width at which the face is at its native resolution in the 512 alignment."""
    mask: Path | None = None
    """Its classes, as big as the picture; None where there are none."""


def has_table(folder: Path) -> bool:
    """Return whether ``folder`` says which faces it holds."""
    return any(exists(folder / name) for name in _TABLES)


def read_table(folder: Path) -> list[FaceRow]:
    """Return the faces that the ``tiles.tsv`` or ``faces.tsv`` of a folder or archive lists.

    Raises:
        ConfigError: The folder holds neither.
    """
    for name in _TABLES:
        if exists(folder / name):
            lines = read_bytes(folder / name).decode().splitlines()
            return [_row(folder, cells) for cells in csv.DictReader(lines, delimiter="\t")]
    raise ConfigError(f"{folder}: holds neither {' nor '.join(_TABLES)}")


def _row(folder: Path, cells: dict[str, str]) -> FaceRow:
    tile = None
    if "tx" in cells:
        tile = (int(cells["tx"]), int(cells["ty"]), int(cells["tw"]), int(cells["th"]))
    return FaceRow(
        picture=folder / cells["file"],
        tile_xywh=tile,
        points_xy=np.array([float(cells[key]) for key in POINT_COLUMNS]).reshape(5, 2),
        effective_px=float(cells["eff_res512"]),
        mask=folder / cells["mask"] if cells.get("mask") else None,
    )


def aligned_side_px(row: FaceRow, *, share: float, least_px: int) -> int:
    """Return the side to align at so that nothing is enlarged, at most ``CROP_SIZE_PX``.

    Args:
        row: The face.
        share: Part of the effective resolution to trust; below 1 where a source is
            compressed, so that its artefacts shrink away.
        least_px: Floor; a face below it is enlarged up to it.
    """
    return max(least_px, real_side_px(row, share=share)) // 32 * 32


def real_side_px(row: FaceRow, *, share: float) -> int:
    """Return how many pixels of the 512 alignment, at most all, a face really fills."""
    return min(CROP_SIZE_PX, int(row.effective_px * share))


def load_aligned(
    row: FaceRow, *, side_px: int, sheet: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the face aligned to the template scaled to ``side_px``, and its points there.

    Args:
        row: The face.
        side_px: Side of the result.
        sheet: The decoded ``row.picture``, ``(H, W, 3)`` RGB.

    Returns:
        ``(S, S, 3)`` RGB and ``(5, 2)``.
    """
    tile = sheet
    if row.tile_xywh is not None:
        x, y, width, height = row.tile_xywh
        tile = sheet[y : y + height, x : x + width]
    target = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / CROP_SIZE_PX) - 0.5
    to_crop = fit_similarity(row.points_xy, target)
    points_in_crop = applied(to_crop, row.points_xy)
    scale = float(np.hypot(to_crop[0, 0], to_crop[1, 0]))
    if scale < 1:
        # Shrink by area first: a bilinear warp alone would alias.
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


def aligned_faces(
    rows: list[FaceRow], *, share: float, least_px: int
) -> Iterator[NDArray[np.uint8]]:
    """Yield every face of ``rows`` aligned, reading each picture once."""
    held: tuple[Path, NDArray[np.uint8]] | None = None
    for row in sorted(rows, key=lambda each: str(each.picture)):
        if held is None or held[0] != row.picture:
            held = (row.picture, read_picture(row.picture))
        side = aligned_side_px(row, share=share, least_px=least_px)
        yield load_aligned(row, side_px=side, sheet=held[1])[0]
