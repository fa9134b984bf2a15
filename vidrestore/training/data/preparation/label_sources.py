"""Sources of labels and of dense landmarks for faces in photographs."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import read_labels
from vidrestore.training.data.face_table import align_labels
from vidrestore.training.data.preparation.celebamask import read_part_labels
from vidrestore.training.data.preparation.photo_faces import AlignedPhoto

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
