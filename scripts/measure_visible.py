"""Measure how visible and how steady a restoration is, in the largest face of SOURCE.

    python scripts/measure_visible.py film.mp4 restored.mkv
    python scripts/measure_visible.py film.mp4 restored.mkv --start 60 --end 70 --json

No original is needed. All figures but ``change`` are result over source:

- ``edges``, ``flat``: the 99th and the 25th percentile of the luma gradient (eyes, brows and lips;
  and skin).
- ``clarity``: edges over flat. To the eye, a clear picture has stronger edges and the same skin.
- ``change``: the mean difference, in levels of 255.
- ``tremble``: how much fine detail differs from frame to frame.

A source smaller than its result is upscaled first (bicubic).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import cv2
import numpy as np
from film_pairs import (
    Film,
    add_film_arguments,
    embedded_detector,
    faces_in,
    luma_levels,
    open_container,
    paired_frames,
    scaled_box,
)

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.faces.detection.detector import Detector
from vidrestore.metrics.visibility import Visibility, visibility
from vidrestore.types import Detection, FloatArray, Frame

RUN_FRAMES = 10
"""Number of frames in which a face is measure where it was detected in the first one."""


def measure(
    before: Film, after: Film, *, detector: Detector, first_frame: int, frames: int | None
) -> Visibility:
    """Return the figures of the largest face, detected every ``RUN_FRAMES`` frames.

    Args:
        before: The source.
        after: The result.
        detector: Finds faces in the source.
        first_frame: Number of frames to skip in both.
        frames: Number of frames to read; None reads all.

    Raises:
        ConfigError: The source has no face there, or the result is of another film.
        MediaError: One cannot be read.
    """
    last = None if frames is None else first_frame + frames
    pairs = islice(paired_frames(before, after), first_frame, last)
    runs = _runs(before, after, pairs, detector)
    first = next(runs, None)
    if first is None:
        shown = f"from frame {first_frame} on" if frames is None else f"in {frames} frames"
        raise ConfigError(
            f"{before.path}: no face {shown}; choose others with --first-frame and --frames"
        )
    return visibility(chain([first], runs))


def _runs(
    before: Film, after: Film, pairs: Iterator[tuple[Frame, Frame]], detector: Detector
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield ``(T, h, w)`` luma before and after of the largest face, run by run."""
    for first in pairs:
        faces = faces_in(first[0], before.geometry, detector)
        run = chain([first], islice(pairs, RUN_FRAMES - 1))
        lumas = [_lumas(before, after, pair, faces[0]) for pair in run if faces]
        if not lumas:
            continue
        # Both are compared at the size of the larger one, as on a screen.
        size_hw = max(lumas[0][0].shape, lumas[0][1].shape)
        sources, results = zip(*lumas, strict=True)
        yield _stacked(sources, size_hw), _stacked(results, size_hw)


def _lumas(
    before: Film, after: Film, pair: tuple[Frame, Frame], face: Detection
) -> tuple[FloatArray, FloatArray]:
    height, width = size_hw = before.geometry.display_hw
    left, top, right, bottom = map(round, face.box_xyxy)
    box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    result_box = scaled_box(box, size_hw, after.geometry.display_hw)
    return (
        luma_levels(pair[0], before.geometry, box),
        luma_levels(pair[1], after.geometry, result_box),
    )


def _stacked(lumas: Sequence[FloatArray], size_hw: tuple[int, ...]) -> FloatArray:
    size_wh = (size_hw[1], size_hw[0])
    return np.stack(
        [
            luma
            if luma.shape == size_hw
            else np.asarray(cv2.resize(luma, size_wh, interpolation=cv2.INTER_CUBIC), np.float32)
            for luma in lumas
        ]
    )


def report_of(found: Visibility) -> dict[str, float | None]:
    """Return the rounded figures; None if one is undefined."""
    figures = {
        "frames": found.frames,
        "edges": round(found.edges, 3),
        "flat": round(found.flat, 3),
        "clarity": round(found.clarity, 3),
        "change": round(found.change_levels, 2),
        "tremble": round(found.tremble, 3),
    }
    return {name: None if math.isnan(value) else value for name, value in figures.items()}


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_film_arguments(parser)
    parser.add_argument("--first-frame", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--frames", type=int, default=60, help="number of frames to read, default 60; 0 reads all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if min(arguments.first_frame, arguments.frames) < 0:
        parser.error("--first-frame and --frames must be 0 or more")
    try:
        with (
            open_container(
                arguments.source, start_seconds=arguments.start, end_seconds=arguments.end
            ) as before,
            open_container(arguments.result) as after,
        ):
            report = report_of(
                measure(
                    before,
                    after,
                    detector=embedded_detector(),
                    first_frame=arguments.first_frame,
                    frames=arguments.frames or None,
                )
            )
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:<10}{'undefined' if value is None else value}")


if __name__ == "__main__":
    main()
