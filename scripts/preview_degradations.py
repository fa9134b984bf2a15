"""Show the effect of recipes: one row per face and seed, one column per recipe, in one image.

    python scripts/preview_degradations.py faces/ preview.png
    python scripts/preview_degradations.py face.png preview.png --recipes vhs film --seeds 0 1 2

The first column is the image itself. ``--targets`` adds the training target beside each degraded
image.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError
from vidrestore.training.degradations.recipes.table import RECIPES, recipe_named
from vidrestore.types import CROP_SIZE_PX, FloatArray

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
BAR_PX = 18


def faces_in(path: Path, *, count: int) -> Iterator[FloatArray]:
    """Yield up to ``count`` images of a folder (or the one image) as 512 px squares."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not files:
        raise ConfigError(f"{path}: no images here ({', '.join(SUFFIXES)})")
    for file in files[:: max(1, len(files) // count)][:count]:
        bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ConfigError(f"{file}: not a readable image")
        side = min(bgr.shape[:2])
        top, left = (bgr.shape[0] - side) // 2, (bgr.shape[1] - side) // 2
        square = bgr[top : top + side, left : left + side, ::-1]
        filter_ = cv2.INTER_AREA if side > CROP_SIZE_PX else cv2.INTER_CUBIC
        sized = cv2.resize(square, (CROP_SIZE_PX, CROP_SIZE_PX), interpolation=filter_)
        yield np.asarray(sized, dtype=np.float32) / 255.0


def tile(image_hwc: FloatArray, text: str, *, tile_px: int) -> NDArray[np.uint8]:
    """Return the image at ``tile_px`` under a line of text, as uint8 RGB."""
    small = cv2.resize(image_hwc, (tile_px, tile_px), interpolation=cv2.INTER_AREA)
    framed = np.zeros((tile_px + BAR_PX, tile_px, 3), dtype=np.uint8)
    framed[BAR_PX:] = np.clip(np.rint(np.asarray(small) * 255), 0, 255)
    cv2.putText(
        framed, text, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA
    )
    return framed


def grid(
    faces: Sequence[FloatArray],
    *,
    recipes: Sequence[str],
    seeds: Sequence[int],
    tile_px: int,
    targets: bool,
) -> NDArray[np.uint8]:
    """Return the whole sheet as uint8 RGB."""
    rows: list[NDArray[np.uint8]] = []
    for number, face in enumerate(faces):
        for seed in seeds:
            cells = [tile(face, f"face {number}, seed {seed}", tile_px=tile_px)]
            for name in recipes:
                degradation = recipe_named(name).draw(np.random.default_rng((seed, number)))
                pair = degradation.degrade(face)
                cells.append(tile(pair.degraded, name, tile_px=tile_px))
                if targets:
                    cells.append(tile(pair.target, f"{name}: target", tile_px=tile_px))
            rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows, axis=0)


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, help="an image, or a folder of aligned faces")
    parser.add_argument("target", type=Path, help="the sheet, .png or .jpg")
    parser.add_argument("--recipes", nargs="+", choices=sorted(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--count", type=int, default=3, help="number of faces from a folder")
    parser.add_argument(
        "--tile", type=int, default=256, help="side of an image on the sheet, in pixels"
    )
    parser.add_argument("--targets", action="store_true", help="also show the training targets")
    arguments = parser.parse_args()
    sheet = grid(
        list(faces_in(arguments.faces, count=arguments.count)),
        recipes=arguments.recipes,
        seeds=arguments.seeds,
        tile_px=arguments.tile,
        targets=arguments.targets,
    )
    if not cv2.imwrite(str(arguments.target), np.ascontiguousarray(sheet[:, :, ::-1])):
        raise ConfigError(f"{arguments.target}: cannot be written")
    print(f"{arguments.target}: {sheet.shape[1]} x {sheet.shape[0]}")


if __name__ == "__main__":
    main()
