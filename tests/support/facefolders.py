"""A folder of small painted faces with its table, as training data."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.faces.template import TEMPLATE_LANDMARKS_XY
from vidrestore.training.data.face_table import POINT_COLUMNS


def draw_face(number: int, *, side_px: int) -> NDArray[np.uint8]:
    """Return ``(S, S, 3)`` RGB: an oval with eyes, a mouth and some texture, aligned."""
    rng = np.random.default_rng(number)
    scale = side_px / 512
    coarse = rng.integers(40, 200, (4, 4, 3)).astype(np.uint8)
    face = cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    skin = tuple(int(channel) for channel in rng.integers(120, 230, 3))
    middle = (side_px // 2, int(0.55 * side_px))
    axes = (int(0.33 * side_px), int(0.43 * side_px))
    cv2.ellipse(face, middle, axes, 0, 0, 360, skin, -1, cv2.LINE_AA)
    points = TEMPLATE_LANDMARKS_XY * scale
    for x, y in points[:2]:
        cv2.circle(face, (int(x), int(y)), max(2, int(24 * scale)), (250, 250, 250), -1)
        cv2.circle(face, (int(x), int(y)), max(1, int(12 * scale)), (40, 30, 20), -1)
    cv2.line(
        face, points[3].astype(int), points[4].astype(int), (150, 40, 50), max(2, int(16 * scale))
    )
    texture = rng.normal(0, 6, (side_px, side_px, 1))
    return np.clip(face + texture, 0, 255).astype(np.uint8)


def write_faces(folder: Path, *, count: int, side_px: int, effective_px: int = 512) -> Path:
    """Write painted faces and ``faces.tsv`` into a new folder; return it."""
    folder.mkdir(parents=True)
    points = (TEMPLATE_LANDMARKS_XY + 0.5) * (side_px / 512) - 0.5
    cells = [*(f"{coordinate:.3f}" for coordinate in points.ravel()), str(effective_px)]
    lines = ["\t".join(["file", *POINT_COLUMNS, "eff_res512"])]
    for number in range(count):
        face = draw_face(number, side_px=side_px)
        cv2.imwrite(str(folder / f"{number}.png"), face[:, :, ::-1])
        lines.append("\t".join([f"{number}.png", *cells]))
    (folder / "faces.tsv").write_text("\n".join(lines) + "\n")
    return folder
