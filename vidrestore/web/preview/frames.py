"""Restores a few frames around a time, and writes them as images before and after."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

import vidrestore
from vidrestore.errors import MediaError
from vidrestore.media.color.preview import preview_rgb
from vidrestore.media.input.video_info import probe
from vidrestore.settings import RestoreSettings
from vidrestore.types import DisplayGeometry, Frame

MAX_FRAMES = 8
_MARGIN_FRAMES = 2
"""Frames before the first and after the last that is shown: a face is averaged with neighbors, and
whoever waits for a preview pays for each."""
_MAX_SIDE_PX = 4096
_FALLBACK_RATE = Fraction(25)
_PNG_LEVEL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewFrame:
    """A frame before and after, as two images of a folder."""

    seconds: float
    before: str
    """Name of the image."""
    after: str
    width: int
    height: int
    faces: int
    """Faces that were changed."""

    def to_json(self) -> dict[str, Any]:
        """Return the values for JSON."""
        names = ("seconds", "before", "after", "width", "height", "faces")
        return {name: getattr(self, name) for name in names}


def preview_frames(
    path: Path, settings: RestoreSettings, *, seconds: float, count: int, folder: Path
) -> Iterator[PreviewFrame]:
    """Restore consecutive frames from a time on, and write them into a folder.

    A face is averaged with few neighbors, so the result of a whole run can differ a little.

    Args:
        path: A film, a folder of images, or an image.
        settings: Settings of the restoration.
        seconds: Time of the first frame.
        count: Number of frames, at most ``MAX_FRAMES``; fewer at the end of a film.
        folder: Where the images are written, as PNG.

    Raises:
        VidrestoreError: The source cannot be read, or a network cannot be loaded.
    """
    info = probe(path)
    # A browser rounds times; the margin is shorter than any frame.
    first_seconds = Fraction(round(1000 * seconds) - 1, 1000)
    if info.kind != "picture":
        rate = info.average_rate or _FALLBACK_RATE
        frame_count = min(count, MAX_FRAMES)
        start = max(Fraction(0), first_seconds - _MARGIN_FRAMES / rate)
        end = first_seconds + (frame_count + _MARGIN_FRAMES) / rate
        # A batch is padded: with no more faces than frames, a larger one would take longer.
        batch_size = settings.batch_size or frame_count + 2 * _MARGIN_FRAMES
        settings = replace(settings, start_seconds=start, end_seconds=end, batch_size=batch_size)
    settings = replace(settings, verify=False, only_tracks=(), track_strengths=())
    film = vidrestore.open(path, settings=settings)
    number, origin = 0, info.origin_seconds
    with closing(film.restored()) as restored:
        for frame in restored:
            if info.kind != "picture" and frame.pts_seconds - origin < first_seconds:
                continue
            before, after = f"{number}-before.png", f"{number}-after.png"
            _write(folder / before, frame.source, info.geometry)
            width, height = _write(folder / after, frame.frame, frame.geometry)
            yield PreviewFrame(
                seconds=round(float(frame.pts_seconds - origin), 3),
                before=before,
                after=after,
                width=width,
                height=height,
                faces=sum(face.restored for face in frame.faces),
            )
            number += 1
            if number == min(count, MAX_FRAMES):
                break
    if not number:
        raise MediaError(f"{path}: no frame at {seconds:g} s; choose an earlier time")


def warm_up() -> None:
    """Restore a face that comes with the page, so that all that a preview needs is loaded.

    Raises:
        VidrestoreError: A network cannot be loaded.
    """
    picture = files("vidrestore.web") / "data" / "profile_watch.jpg"
    with as_file(picture) as path, TemporaryDirectory() as folder:
        for _ in preview_frames(path, RestoreSettings(), seconds=0, count=1, folder=Path(folder)):
            pass


def _write(path: Path, frame: Frame, geometry: DisplayGeometry) -> tuple[int, int]:
    """Write a frame as a viewer sees it; return width and height."""
    side_px = min(_MAX_SIDE_PX, max(geometry.display_hw))
    rgb = preview_rgb(frame, geometry.of(frame), side_px).rgb_hwc
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    if not cv2.imwrite(str(path), bgr, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]):
        raise MediaError(f"{path}: could not be written; free some space")
    height, width = bgr.shape[:2]
    return width, height
