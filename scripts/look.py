"""Write a sheet of faces before and after restoration, at the same scale.

    python scripts/look.py film.mp4 restored.mkv
    python scripts/look.py film.mp4 restored.mkv -o sheet.png --count 4 --difference
    python scripts/look.py frames/ restored/ --frame 0 --frame 12

SOURCE and RESULT are films, folders of frames or images; a result may be larger than its source.
The frames are spread evenly over the film. Of each stretch of the film, the sheet has the largest
face, or another one if that place was already shown. Both sides of a pair show the same box of the
frame at the same scale, in steps of a quarter (bicubic). ``--difference`` adds after minus before,
amplified, on gray.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from film_pairs import (
    Film,
    add_film_arguments,
    check_same_shape,
    embedded_detector,
    faces_in,
    open_container,
    side_px,
)
from look_sheet import FacePair, cut, head_box, sheet

from vidrestore.errors import ConfigError, MediaError, VidrestoreError
from vidrestore.faces.detection.detector import Detector
from vidrestore.media.file_kinds import container_facts
from vidrestore.media.input.source import open_source
from vidrestore.media.input.video_info import DEFAULT_IMAGE_RATE
from vidrestore.review.frame_seek import FrameTime, frames_at
from vidrestore.review.jpeg import Rgb, frame_rgb
from vidrestore.types import Box, Detection, Frame

FRAMES_PER_FACE = 4
"""Frames of a stretch of the film in which faces are searched."""
_SAME_PLACE_IOU = 0.2
_SUFFIXES = (".png", ".jpg", ".jpeg")
_BEFORE_END_SECONDS = (2, 30)
"""How far before the end a film is opened to find its last frame: audio may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A face of the source that may go on the sheet."""

    stretch: int
    """Number of the stretch of the film; there is one per face of the sheet."""
    seconds: Fraction
    """When its frame is shown."""
    frame_name: str
    face: Detection
    """In display pixels."""
    head_xyxy: Box
    before: Rgb


def first_and_last_seconds(film: Film) -> tuple[Fraction, Fraction]:
    """Return the times of the first and the last frame.

    Raises:
        MediaError: No frame can be read.
    """
    first = next(iter(film.source), None)
    if first is None:
        raise MediaError(f"{film.path}: no frame can be decoded there")
    info, selected = film.source.info, film.source.time_range
    start, end = selected.start_seconds or Fraction(0), selected.end_seconds
    length = Fraction(str(info.duration_seconds or 0))
    length = length if end is None else min(end, length)
    starts = [length - seconds for seconds in _BEFORE_END_SECONDS if length - seconds > start]
    # The timestamps of an AVI depend on where reading starts.
    can_seek = not container_facts(info.container).lacks_timestamps
    for late in [*(starts if can_seek else []), selected.start_seconds]:
        with open_source(film.path, start_seconds=late, end_seconds=end) as source:
            if last := deque(source, maxlen=1):
                return first.timestamp.seconds, last[0].timestamp.seconds
    return first.timestamp.seconds, first.timestamp.seconds


def spread_frames(
    film: Film, span_seconds: tuple[Fraction, Fraction], stretches: int
) -> Iterator[tuple[int, Frame]]:
    """Yield frames spread evenly over a film, each once, with the number of their stretch."""
    first, last = span_seconds
    count = stretches * FRAMES_PER_FACE
    times = [first + (last - first) * Fraction(2 * index + 1, 2 * count) for index in range(count)]
    frames = frames_at(
        film.path, [FrameTime(seconds=seconds) for seconds in times], fps=DEFAULT_IMAGE_RATE
    )
    last_seconds: Fraction | None = None
    for index, (frame, _) in enumerate(frames):
        if frame.timestamp.seconds != last_seconds:
            yield index * stretches // count, frame
        last_seconds = frame.timestamp.seconds


def numbered_frames(film: Film, numbers: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    """Yield the frames with these numbers, counted from 0, in order; each is a stretch.

    Raises:
        ConfigError: The film has fewer frames.
    """
    waiting = sorted(set(numbers))
    stretch = 0
    frame = None
    for frame in film.source:
        if frame.index == waiting[stretch]:
            yield stretch, frame
            stretch += 1
        if stretch == len(waiting):
            return
    count = 0 if frame is None else frame.index + 1
    raise ConfigError(f"{film.path}: no frame {waiting[stretch]}; its frames are 0 to {count - 1}")


def candidates(
    film: Film,
    frames: Iterator[tuple[int, Frame]],
    detector: Detector,
    *,
    numbered: bool,
    tile_px: int,
) -> Iterator[Candidate]:
    """Yield every face of the frames."""
    height, width = film.geometry.display_hw
    for stretch, frame in frames:
        view = film.shown(frame)
        faces = faces_in(view, film.geometry, detector)
        picture = frame_rgb(view, film.geometry.of(view)) if faces else None
        for face in faces:
            assert picture is not None
            head = head_box(face, (height, width), tile_px)
            name = frame.source_name or (f"frame {frame.index}" if numbered else "")
            yield Candidate(
                stretch=stretch,
                seconds=frame.timestamp.seconds,
                frame_name=name,
                face=face,
                head_xyxy=head,
                before=cut(picture, head, (height, width)),
            )


def select(faces: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return up to ``count`` faces, ordered by time.

    The largest of each stretch comes first, then the largest of the rest. The size of a face is
    divided by the number of faces at the same place, which are probably the same person.
    """
    left, taken = list(faces), list[Candidate]()

    def priority(candidate: Candidate) -> float:
        return side_px(candidate.face) / (1 + sum(_same_place(candidate, other) for other in taken))

    for stretch in [*sorted({face.stretch for face in faces}), *[None] * count]:
        remaining = [candidate for candidate in left if stretch in (None, candidate.stretch)]
        if remaining and len(taken) < count:
            best = max(remaining, key=priority)
            taken.append(best)
            left.remove(best)
    return sorted(taken, key=lambda candidate: (candidate.seconds, candidate.face.box_xyxy))


def _same_place(first: Candidate, other: Candidate) -> bool:
    a, b = np.array(first.face.box_xyxy), np.array(other.face.box_xyxy)
    both = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(both, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared > _SAME_PLACE_IOU * union


def pairs_of(
    before: Film,
    after: Film,
    detector: Detector,
    *,
    count: int,
    numbers: Sequence[int],
    tile_px: int,
) -> list[FacePair]:
    """Return the faces of the sheet, from the source and from the result.

    Raises:
        ConfigError: No face is found, or the result is of another film.
        MediaError: One cannot be read.
    """
    check_same_shape(before, after)
    span, result_span = (first_and_last_seconds(film) for film in (before, after))
    half_frame = _half_frame_seconds(before)
    length, result_length = (ends[1] - ends[0] for ends in (span, result_span))
    if abs(length - result_length) > 3 * max(half_frame, _half_frame_seconds(after)):
        raise ConfigError(
            f"{after.path}: is {float(result_length):.2f} s long from its first frame to its last, "
            f"but {before.path} is {float(length):.2f} s; name the source of this result, and "
            "pass the --start and --end that it was made with"
        )
    frames = numbered_frames(before, numbers) if numbers else spread_frames(before, span, count)
    faces = list(candidates(before, frames, detector, numbered=bool(numbers), tile_px=tile_px))
    if not faces:
        which = "those frames" if numbers else f"{count * FRAMES_PER_FACE} of its frames"
        raise ConfigError(f"{before.path}: no face in {which}; name other frames with --frame")
    picked = select(faces, max(count, len(set(numbers))))
    shift = result_span[0] - span[0] + half_frame
    times = [FrameTime(seconds=candidate.seconds + shift) for candidate in picked]
    shown_after = frames_at(after.path, times, fps=DEFAULT_IMAGE_RATE)
    return [
        FacePair(
            seconds=candidate.seconds,
            frame_name=candidate.frame_name,
            side_px=candidate.head_xyxy[2] - candidate.head_xyxy[0],
            before=candidate.before,
            after=cut(_shown_rgb(after, frame), candidate.head_xyxy, before.geometry.display_hw),
        )
        for candidate, (frame, _) in zip(picked, shown_after, strict=True)
    ]


def _shown_rgb(film: Film, frame: Frame) -> Rgb:
    view = film.shown(frame)
    return frame_rgb(view, film.geometry.of(view))


def _half_frame_seconds(film: Film) -> Fraction:
    return 1 / (2 * (film.source.info.average_rate or DEFAULT_IMAGE_RATE))


def write_picture(path: Path, picture: Rgb) -> None:
    """Write an image in the format of its suffix.

    Raises:
        MediaError: It cannot be written.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix.lower() != ".png" else []
    _, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(picture[:, :, ::-1]), options)
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise MediaError(f"{path}: cannot be written: {error.strerror}") from error


def _target(arguments: argparse.Namespace) -> Path:
    result: Path = arguments.result
    target: Path = arguments.output or result.with_name(f"{result.stem}_look.png")
    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(
            f"{target}: the sheet is an image; end its name with {' or '.join(_SUFFIXES)}"
        )
    if target.resolve() in (arguments.source.resolve(), result.resolve()):
        raise ConfigError(f"{target}: is the source or the result; name another file with -o")
    return target


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_film_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="SHEET.png", help="default: RESULT_look.png"
    )
    parser.add_argument("--count", type=int, default=6, help="number of faces, default 6")
    parser.add_argument("--frame", type=int, action="append", default=[], metavar="N")
    parser.add_argument("--side-px", type=int, default=512, help="maximum side of a tile")
    parser.add_argument("--difference", action="store_true", help="also show the difference")
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.side_px < 64 or min(arguments.frame, default=0) < 0:
        parser.error("--count must be 1 or more, --side-px 64 or more, --frame 0 or more")
    try:
        target = _target(arguments)
        with (
            open_container(
                arguments.source, start_seconds=arguments.start, end_seconds=arguments.end
            ) as before,
            open_container(arguments.result) as after,
        ):
            pairs = pairs_of(
                before,
                after,
                embedded_detector(),
                count=arguments.count,
                numbers=arguments.frame,
                tile_px=arguments.side_px,
            )
        names = (arguments.source.name, arguments.result.name)
        picture = sheet(pairs, names, tile_px=arguments.side_px, difference=arguments.difference)
        write_picture(target, picture)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    count = f"{len(pairs)} face{'s' if len(pairs) > 1 else ''}"
    print(f"{target}: {count}, {picture.shape[1]} x {picture.shape[0]}")


if __name__ == "__main__":
    main()
