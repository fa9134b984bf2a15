"""Fit NIQE's model of sharp faces and write it to the package.

    python scripts/fit_niqe.py ../shared/data/train/london ../shared/data/train/canada \
        ../shared/data/train/sfhq

It takes folders with ``tiles.tsv`` or ``faces.tsv``, and uses only faces that are at least 512
pixels large in the photograph, so that none is upscaled.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidrestore.metrics.niqe import fit, write_model
from vidrestore.training.data.face_table import iter_aligned_faces, read_table
from vidrestore.types import CROP_SIZE_PX, FloatArray

TARGET = Path(__file__).parent.parent / "vidrestore" / "metrics" / "data" / "niqe_faces.safetensors"


def main() -> None:
    """Parse the command line and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    rows = [row for folder in arguments.folders for row in read_table(folder)]
    sharp = [row for row in rows if row.effective_px >= CROP_SIZE_PX]

    def faces() -> Iterator[FloatArray]:
        for face in iter_aligned_faces(sharp, min_px=CROP_SIZE_PX):
            yield face.astype(np.float32) / 255.0

    names = ", ".join(folder.name for folder in arguments.folders)
    origin = {"pictures": f"{len(sharp)} faces of {names}, aligned to 512", "scale": "255, BT.601"}
    write_model(fit(faces()), arguments.target, metadata=origin)
    print(f"{arguments.target}: fitted to {origin['pictures']}")


if __name__ == "__main__":
    main()
