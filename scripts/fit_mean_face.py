"""Fit the mean face, with which the safeguard detects crops that show no face.

    python scripts/fit_mean_face.py OUT.safetensors FOLDER...

Each folder has a ``tiles.tsv`` or ``faces.tsv``. The script takes 300 faces of each, and their
mirror images. The packaged one was made from SFHQ-T2I and portraits of members of the US Congress.
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from vidrestore.safeguard.occlusion import normalize_contrast
from vidrestore.training.data.face_table import iter_aligned_faces, read_table

FACES_PER_FOLDER = 300
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def main(out: Path, folders: list[Path]) -> None:
    """Read ``folders``, write ``out``."""
    patterns: list[np.ndarray] = []
    for folder in folders:
        faces = iter_aligned_faces(read_table(folder), min_px=1)
        for face in islice(faces, FACES_PER_FOLDER):
            luma = np.asarray(face.astype(np.float32) @ LUMA, dtype=np.float32)
            patterns += [
                normalize_contrast(luma),
                normalize_contrast(np.ascontiguousarray(luma[:, ::-1])),
            ]
    mean = np.mean(patterns, axis=0).astype(np.float32)
    names = ", ".join(folder.name for folder in folders)
    metadata = {
        "source": f"mean over {len(patterns)} aligned faces and mirror images: {names}",
        "license": "Apache-2.0; see NOTICE beside this file",
        "made_by": "scripts/fit_mean_face.py",
    }
    save_file({"pattern_hw": mean}, out, metadata)
    print(f"{out}: {len(patterns)} patterns, {out.stat().st_size} bytes")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
