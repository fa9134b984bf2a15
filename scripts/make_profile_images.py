"""Make the pictures of the profiles that ``vidrestore web`` shows: a face before and after each.

    python scripts/make_profile_images.py

The face is that of the example film, which is in the public domain.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from vidrestore.settings import PROFILES, RestoreSettings
from vidrestore.web.preview.frames import preview_frames

ROOT = Path(__file__).parent.parent
SIDE_PX = 220
_QUALITY = 88


def profile_image(film: Path, settings: RestoreSettings, *, seconds: float) -> cv2.typing.MatLike:
    """Return the left half of a face before and its right half after, ``(S, S, 3)`` BGR."""
    with TemporaryDirectory() as folder:
        (frame,) = preview_frames(film, settings, seconds=seconds, count=1, folder=Path(folder))
        before, after = (
            cv2.imread(str(Path(folder) / name)) for name in (frame.before, frame.after)
        )
    assert before is not None
    assert after is not None
    changed = np.argwhere(np.abs(after.astype(int) - before).max(axis=2) > 0)
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    y, x, half = (top + bottom) // 2, (left + right) // 2, max(bottom - top, right - left) // 2
    halves = [
        image[max(0, y - half) : y + half, max(0, x - half) : x + half] for image in (before, after)
    ]
    middle = halves[0].shape[1] // 2
    joined = np.concatenate([halves[0][:, :middle], halves[1][:, middle:]], axis=1)
    joined[:, middle - 1 : middle + 1] = 255
    return cv2.resize(joined, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Write an image for each profile."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--film", type=Path, default=ROOT / "examples" / "astronaut.mp4")
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    for name, profile in PROFILES.items():
        settings = RestoreSettings(**profile.settings)
        image = profile_image(arguments.film, settings, seconds=arguments.seconds)
        path = ROOT / "vidrestore" / "web" / "data" / f"profile_{name}.jpg"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        print(path)


if __name__ == "__main__":
    main()
