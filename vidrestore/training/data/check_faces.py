"""Faces of a table are checked before a run: what cannot be read would stop it hours later."""

from collections.abc import Iterable
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import image_size
from vidrestore.training.data.face_table import FaceRow


def check_faces(rows: Iterable[FaceRow]) -> None:
    """Check that images exist and hold the faces, and that masks have their size.

    Headers alone are read: some thousand images a second from a local disk.

    Raises:
        ConfigError: Names the first file for which this is not so.
    """
    sizes: dict[Path, tuple[int, int]] = {}
    for row in rows:
        if row.image_path not in sizes:
            sizes[row.image_path] = image_size(row.image_path)
        size_wh = sizes[row.image_path]
        _check_tile(row, size_wh)
        if row.labels_path is not None:
            _check_mask(row.labels_path, image_size(row.labels_path), row.image_path, size_wh)


def _check_tile(row: FaceRow, size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    x, y, tile_width, tile_height = row.tile_xywh or (0, 0, width, height)
    image = f"{row.image_path}, {width} x {height}"
    if min(x, y) < 0 or x + tile_width > width or y + tile_height > height:
        raise ConfigError(
            f"{image}: the table has a tile of {tile_width} x {tile_height} at {x}, {y}, which is "
            "not inside; make the table again"
        )
    center_x, center_y = row.points_xy.mean(axis=0)
    if not (0 <= center_x < tile_width and 0 <= center_y < tile_height):
        raise ConfigError(
            f"{image}: the table has a face around {center_x:.0f}, {center_y:.0f}, which is not "
            "inside; make the table again"
        )


def _check_mask(
    mask: Path, mask_wh: tuple[int, int], image: Path, image_wh: tuple[int, int]
) -> None:
    if mask_wh != image_wh:
        raise ConfigError(
            f"{mask}: {mask_wh[0]} x {mask_wh[1]}, but {image.name} is {image_wh[0]} x "
            f"{image_wh[1]}; a mask has the size of its image"
        )
