"""Aligned faces for evaluation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import list_images, read_image
from vidrestore.training.data.face_table import has_table, iter_aligned_faces, read_table
from vidrestore.types import CROP_SIZE_PX


def read_eval_images(
    folder: Path, *, min_effective_px: int = CROP_SIZE_PX
) -> Iterator[tuple[str, Tensor]]:
    """Yield name and image, ``(3, 512, 512)`` RGB in [0, 1], of the faces in a folder or archive.

    With a table, its faces are aligned, and those with an effective resolution below
    ``min_effective_px`` are left out. Without a table, every image must be an aligned face.

    Raises:
        ConfigError: The folder is missing, or an image is unreadable or not an aligned face.
    """
    if has_table(folder):
        rows = [row for row in read_table(folder) if row.effective_px >= min_effective_px]
        faces = iter_aligned_faces(rows, min_px=CROP_SIZE_PX)
        for index, face in enumerate(faces):
            yield f"{index:04d}", _to_chw(face)
        return
    for path in list_images(folder):
        face = read_image(path)
        if face.shape[:2] != (CROP_SIZE_PX, CROP_SIZE_PX):
            raise ConfigError(
                f"{path}: {face.shape[1]} x {face.shape[0]}, not a face aligned to "
                f"{CROP_SIZE_PX} px; run scripts/prepare_faces.py on the folder first"
            )
        yield str(path.relative_to(folder)), _to_chw(face)


def _to_chw(face_hwc: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(face_hwc).permute(2, 0, 1).float() / 255
