"""Measure how visible and how steady a restoration is, in the largest face of SOURCE.

    python scripts/measure_visible.py film.mp4 restored.mkv
    python scripts/measure_visible.py film.mp4 restored.mkv --start 60 --end 70 --json

No original is needed. All figures but ``change`` are result over source:

- ``edges``, ``flat``: the 99th and the 25th percentile of the luma gradient (eyes, brows and lips;
  and skin).
- ``clarity``: edges over flat. To the eye, a clear picture has stronger edges and the same skin.
- ``change``: the mean difference, in levels of 255.
- ``tremble``: how much fine detail differs from frame to frame.
- ``flicker``: the same along the motion of the face.
- ``jitter``: how much the detected landmarks jump from frame to frame.

A source smaller than its result is upscaled first (bicubic).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
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
from vidrestore.metrics.landmarks import Landmarks, landmark_jitter_px
from vidrestore.metrics.visibility import Visibility, visibility
from vidrestore.types import Detection, FloatArray, Frame

RUN_FRAMES = 10
"""Number of frames in which a face is measure where it was detected in the first one."""


def measure(
    before: Film, after: Film, *, detector: Detector, first_frame: int, frames: int | None
) -> tuple[Visibility, float]:
    """Return the figures of the largest face, and the ratio of the jitter of its landmarks.

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
    landmarks: list[Landmarks] = []
    pairs = islice(paired_frames(before, after), first_frame, last)
    runs = _runs(before, after, _detected(before, after, pairs, detector, landmarks))
    first = next(runs, None)
    if first is None:
        frames_text = f"from frame {first_frame} on" if frames is None else f"in {frames} frames"
        raise ConfigError(
            f"{before.path}: no face {frames_text}; choose others with --first-frame and --frames"
        )
    figures = visibility(chain([first], runs))
    return figures, _jitter_ratio(np.stack(landmarks))


def _detected(
    before: Film,
    after: Film,
    pairs: Iterable[tuple[Frame, Frame]],
    detector: Detector,
    landmarks: list[Landmarks],
) -> Iterator[tuple[tuple[Frame, Frame], Detection | None]]:
    """Yield every pair with the largest face of the source, and append landmarks to ``landmarks``.

    These are ``(2, 5, 2)``, of the largest face of each frame; NaN if there is none.
    """
    scale_yx = np.divide(before.geometry.display_hw, after.geometry.display_hw)
    for pair in pairs:
        largest = [
            next(iter(faces_in(frame, film.geometry, detector)), None)
            for film, frame in zip((before, after), pair, strict=True)
        ]
        face_landmarks = np.full((2, 5, 2), np.nan)
        for index, face in enumerate(largest):
            if face is not None:
                face_landmarks[index] = face.landmarks_xy
        face_landmarks[1] *= scale_yx[::-1]
        landmarks.append(face_landmarks)
        yield pair, largest[0]


def _jitter_ratio(landmarks_T252: Landmarks) -> float:
    """Return the jitter after over that before, in frames whose neighbors have the face, too."""
    if len(landmarks_T252) < 3:
        return math.nan
    # A face that is missed in one film, or another one than in it, is no jitter.
    distances = np.linalg.norm(np.diff(landmarks_T252, axis=1), axis=-1).mean(axis=(1, 2))
    sizes = np.linalg.norm(landmarks_T252[:, 0, 0] - landmarks_T252[:, 0, 1], axis=-1)
    landmarks_T252 = np.where((distances < sizes)[:, None, None, None], landmarks_T252, np.nan)
    before, after = (landmark_jitter_px(landmarks_T252[:, index]) for index in (0, 1))
    return after / before if before else math.nan


def _runs(
    before: Film,
    after: Film,
    detected: Iterator[tuple[tuple[Frame, Frame], Detection | None]],
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield ``(T, h, w)`` luma before and after of the largest face, run by run."""
    for first, face in detected:
        run = chain([first], (pair for pair, _ in islice(detected, RUN_FRAMES - 1)))
        lumas = [_lumas(before, after, pair, face) for pair in run if face is not None]
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


def report_of(measured: Visibility, jitter: float) -> dict[str, float | None]:
    """Return the rounded figures; None if one is undefined."""
    figures = {
        "frames": measured.frames,
        "edges": round(measured.edges, 3),
        "flat": round(measured.flat, 3),
        "clarity": round(measured.clarity, 3),
        "change": round(measured.change_levels, 2),
        "tremble": round(measured.tremble, 3),
        "flicker": round(measured.flicker, 3),
        "jitter": round(jitter, 3),
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
                *measure(
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
