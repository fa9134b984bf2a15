"""Aligned faces to measure on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import pictures_under, read_picture
from vidrestore.training.data.face_table import aligned_faces, has_table, read_table
from vidrestore.types import CROP_SIZE_PX


def stills_in(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield name and ``(3, 512, 512)`` RGB in [0, 1] of the faces of a folder or archive.

    Where it has a table, faces are aligned as that says, and those without 512 real pixels are
    left out; else every picture is a face.

    Raises:
        ConfigError: There is no such folder, or a picture is unreadable or not an aligned face.
    """
    if has_table(folder):
        rows = [row for row in read_table(folder) if row.effective_px >= CROP_SIZE_PX]
        faces = aligned_faces(rows, share=1.0, least_px=CROP_SIZE_PX)
        for at, face in enumerate(faces):
            yield f"{at:04d}", _chw(face)
        return
    for path in pictures_under(folder):
        face = read_picture(path)
        if face.shape[:2] != (CROP_SIZE_PX, CROP_SIZE_PX):
            raise ConfigError(
                f"{path}: {face.shape[1]} x {face.shape[0]}, not a face aligned to "
                f"{CROP_SIZE_PX}; run scripts/prepare_faces.py on the folder first"
            )
        yield str(path.relative_to(folder)), _chw(face)


def _chw(face_hwc: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(face_hwc).permute(2, 0, 1).float() / 255
