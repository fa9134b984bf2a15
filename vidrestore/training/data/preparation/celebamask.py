"""CelebAMask-HQ (Lee et al. 2020) as it is published: photographs, masks of parts, and the split.

``CelebA-HQ-img`` holds 30 000 photographs of 1024 px, ``CelebAMask-HQ-mask-anno`` a mask of 512 px
for each part of a face that a photograph shows, 2000 photographs a folder, and
``CelebA-HQ-to-CelebA-mapping.txt`` the number of each photograph in CelebA, which decides its split
(the authors' ``g_partition.py``): 24 183 to train, 2993 to validate, 2824 to test.
"""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.training.data.archives import exists, read_bytes, read_mask

Split: TypeAlias = Literal["train", "val", "test", "all"]

PART_NAMES = (
    *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""Names of the parts in files, in the order of ``PARSING_CLASSES`` after the background. Where
parts overlap the later one counts (the authors' ``g_mask.py``)."""

_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
_VALIDATION_FROM, _TEST_FROM = 162_771, 182_638
"""Numbers in CelebA at which its validation and its test images begin."""
_PER_FOLDER = 2000


def photographs(root: Path, split: Split) -> list[Path]:
    """Return the photographs of a split, in order of their numbers.

    Args:
        root: The published folder, or an archive of it and the folder inside.
        split: ``all`` takes every photograph.

    Raises:
        ConfigError: The list of photographs is missing or unreadable, or one is missing.
    """
    paths: list[Path] = []
    for line_number, line in enumerate(_lines(root / _MAPPING), start=1):
        cells = line.split()
        if not cells or not cells[0].isdigit():
            continue  # a heading, or an empty line
        if len(cells) < 2 or not cells[1].isdigit():
            raise ConfigError(
                f"{root / _MAPPING}, line {line_number}: expected two numbers, got {line!r}"
            )
        if split in ("all", split_of(int(cells[1]))):
            paths.append(root / "CelebA-HQ-img" / f"{int(cells[0])}.jpg")
    if not paths:
        raise ConfigError(f"{root / _MAPPING}: lists no photographs")
    missing = [path for path in paths if not exists(path)]
    if missing:
        raise ConfigError(
            f"{missing[0]}: this photograph is missing, and {len(missing) - 1} others; unpack all "
            "of CelebAMask-HQ"
        )
    return paths


def split_of(celeba_number: int) -> Split:
    """Return the split of a photograph by its number in CelebA."""
    if celeba_number < _VALIDATION_FROM:
        return "train"
    return "val" if celeba_number < _TEST_FROM else "test"


def read_part_labels(root: Path, number: int) -> NDArray[np.uint8]:
    """Return the labels ``(512, 512)`` of a photograph from the masks of its parts.

    Raises:
        ConfigError: There is no mask at all, or masks differ in size.
    """
    folder = root / "CelebAMask-HQ-mask-anno" / str(number // _PER_FOLDER)
    labels: NDArray[np.uint8] | None = None
    for label, name in enumerate(PART_NAMES, start=1):
        path = folder / f"{number:05d}_{name}.png"
        if not exists(path):
            continue
        mask = read_mask(path)
        if labels is None:
            labels = np.zeros(mask.shape, dtype=np.uint8)
        if mask.shape != labels.shape:
            raise ConfigError(
                f"{path}: {mask.shape[1]} x {mask.shape[0]}, but the masks before it are "
                f"{labels.shape[1]} x {labels.shape[0]}"
            )
        labels[mask] = label
    if labels is None:
        raise ConfigError(f"{folder}: no mask of photograph {number}; unpack all of CelebAMask-HQ")
    return labels


def _lines(path: Path) -> list[str]:
    return read_bytes(path).decode(errors="replace").splitlines()
