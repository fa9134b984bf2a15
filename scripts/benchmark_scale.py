"""The scale part of ``benchmark.py``: processor time against faces, length and size."""

import time
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vidrestore import restore_video
from vidrestore.media.input.source import open_source
from vidrestore.types import Frame, Plane, Timestamp

SIZES_HW = ((360, 640), (720, 1280), (1080, 1920), (2160, 3840))
FACES = (1, 5, 30)
_GRID_HW = (1080, 1920)
_COLUMNS_ROWS = (6, 5)
_FACE_XYXY = (150, 40, 406, 212)
"""The part of the example around its face, with the shape of a tile."""


def measured(source: Path) -> dict[str, float]:
    """Restore a film; return processor time and clock a frame, without loading, and its faces."""
    started = time.process_time(), time.perf_counter()
    report = restore_video(source, source.with_suffix(".out.mp4"))
    load = report.timing["load"]
    spent, seconds = (
        time.process_time() - started[0] - load,
        time.perf_counter() - started[1] - load,
    )
    return {
        "faces_per_frame": report.faces / report.frames,
        "cpu_ms_per_frame": 1000 * spent / report.frames,
        "ms_per_frame": 1000 * seconds / report.frames,
    }


def crowd(example: Path, *, faces: int, frames: int) -> Iterable[Frame]:
    """Yield 1080p frames with the example's face in the first of 30 tiles, gray in the others."""
    with open_source(example) as source:
        frames_read = [frame for frame, _ in zip(source, range(frames), strict=False)]
        time_base = source.info.time_base
    for index, frame in enumerate(frames_read):
        timestamp = Timestamp(index, Fraction(1, 25)).rescaled(time_base)
        planes = tuple(
            _tiled(frame.planes[index], frame.pixel_format.plane_hw(index, _GRID_HW), faces)
            for index in range(len(frame.planes))
        )
        yield replace(frame.with_planes(planes), index=index, timestamp=timestamp, duration_ticks=0)


def _tiled(plane: Plane, size_hw: tuple[int, int], faces: int) -> Plane:
    ratio = size_hw[0] / _GRID_HW[0]
    left, top, right, bottom = (int(side * ratio) for side in _FACE_XYXY)
    columns, rows = _COLUMNS_ROWS
    height, width = size_hw[0] // rows, size_hw[1] // columns
    tile = cv2.resize(plane[top:bottom, left:right], (width, height))
    whole = np.full(size_hw, 128, dtype=plane.dtype)
    for number in range(faces):
        y, x = number // columns * height, number % columns * width
        whole[y : y + height, x : x + width] = tile
    return whole
