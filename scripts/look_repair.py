"""Repair a FILM as it is, print what share of it each repair changes, and draw the places.

    python scripts/look_repair.py old.mp4
    python scripts/look_repair.py old.mp4 --repair dust -o places.png --count 16

The share is that of samples of luma, or of red, green and blue, and of chroma. Each line of the
sheet is one place that was changed: the frame before it, the frame, the frame repaired, and the
frame after it, enlarged so that every pixel is seen. The places are spread evenly over the film;
each is a speck of dust, or the part of a scratch with the largest change.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from film_damage import Film, color_planes, read_film
from measure_repair import repair_kinds
from numpy.typing import NDArray

from vidrestore.errors import VidrestoreError
from vidrestore.repair.samples import luma_levels
from vidrestore.repair.stage import repair_frames
from vidrestore.review.jpeg import Rgb, frame_rgb
from vidrestore.settings import RepairName
from vidrestore.types import Frame, TrackedFrame

_PLACE_PX = 40
"""Side of a place."""
_ENLARGED = 6
_GAP_PX = 4
_BAR_PX = 18


@dataclass(frozen=True, slots=True)
class Place:
    """A place that was changed."""

    frame: int
    x: int
    y: int
    levels: float
    """The largest change of luma."""
    pixels: int


def repaired(film: Film, kind: RepairName) -> list[Frame]:
    """Return the frames with one kind of repair."""
    tracked = [
        TrackedFrame(frame=frame, shot=shot, faces=())
        for frame, shot in zip(film.frames, film.shots, strict=True)
    ]
    return [each.frame for each in repair_frames(tracked, (kind,))]


def describe(film: Film, results: Sequence[Frame], kind: RepairName) -> str:
    """Return the shares of changed samples, and how much of what was found."""
    luma = chroma = all_luma = all_chroma = 0
    for before, after in zip(film.frames, results, strict=True):
        pairs = [*zip(color_planes(before), color_planes(after), strict=True)]
        first = 3 if before.pixel_format.model == "rgb" else 1
        luma += sum(np.count_nonzero(old != new) for old, new in pairs[:first])
        chroma += sum(np.count_nonzero(old != new) for old, new in pairs[first:])
        all_luma += sum(old.size for old, _ in pairs[:first])
        all_chroma += sum(old.size for old, _ in pairs[first:])
    repairs = [frame.repair for frame in results if frame.repair is not None]
    specks = sum(repair.specks for repair in repairs)
    scratched = sum(bool(repair.scratches_xyxy) for repair in repairs)
    curves = sum(repair.curve is not None for repair in repairs)
    colored = f", {100 * chroma / all_chroma:.4f} % of chroma" if all_chroma else ""
    found = {
        "dust": f"{specks} specks in {sum(bool(repair.specks) for repair in repairs)}",
        "scratches": f"scratches in {scratched}",
        "flicker": f"curves in {curves}",
    }[kind]
    share = f"{100 * luma / all_luma:.4f} % of luma{colored}"
    return f"{kind:<10}{share}; {found} of {len(results)} frames"


def places(film: Film, results: Sequence[Frame]) -> list[Place]:
    """Return the places that were changed, frame by frame."""
    found: list[Place] = []
    for number, (before, after) in enumerate(zip(film.frames, results, strict=True)):
        if after.repair is None:
            continue
        change = np.abs(luma_levels(after) - luma_levels(before))
        wide = cv2.dilate((change > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
        count, labels, _, _ = cv2.connectedComponentsWithStats(wide)
        for label in range(1, count):
            inside = np.where(labels == label, change, 0)
            y, x = np.unravel_index(int(inside.argmax()), inside.shape)
            found.append(
                Place(number, int(x), int(y), float(inside.max()), int(np.count_nonzero(inside)))
            )
    return found


def draw(film: Film, results: Sequence[Frame], chosen: Sequence[Place]) -> Rgb:
    """Return a sheet with a line for each place, two lines beside each other."""
    lines = [_line(film, results, place) for place in chosen]
    lines += [np.zeros_like(lines[0])] * (len(lines) % 2)
    pairs = [np.hstack(lines[index : index + 2]) for index in range(0, len(lines), 2)]
    return np.vstack(pairs)


def _line(film: Film, results: Sequence[Frame], place: Place) -> Rgb:
    last = len(film.frames) - 1
    frames = (
        film.frames[max(0, place.frame - 1)],
        film.frames[place.frame],
        results[place.frame],
        film.frames[min(last, place.frame + 1)],
    )
    tiles = [np.pad(_tile(film, each, place), ((0, 0), (0, _GAP_PX), (0, 0))) for each in frames]
    picture = np.hstack(tiles)
    bar = np.zeros((_BAR_PX, picture.shape[1], 3), dtype=np.uint8)
    words = f"frame {place.frame} ({place.x}, {place.y}) {place.levels:.0f} levels"
    text = f"{words} {place.pixels} px: previous, frame, repaired, next"
    cv2.putText(bar, text, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.vstack([bar, picture])


def _tile(film: Film, frame: Frame, place: Place) -> NDArray[np.uint8]:
    rgb = frame_rgb(frame, film.geometry.of(frame))
    half = _PLACE_PX // 2
    padded = cv2.copyMakeBorder(rgb, half, half, half, half, cv2.BORDER_CONSTANT)
    square = padded[place.y : place.y + 2 * half, place.x : place.x + 2 * half]
    side = _PLACE_PX * _ENLARGED
    large = cv2.resize(square, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, dtype=np.uint8)


def main() -> None:
    """Parse the command line, repair, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, help="a film, or a folder of frames")
    parser.add_argument(
        "--repair", type=repair_kinds, default=get_args(RepairName), metavar="KINDS",
        help="dust,scratches,flicker (the default), or some of them",
    )  # fmt: skip
    parser.add_argument("--frames", type=int, default=100, help="frames to read; default: 100")
    parser.add_argument("--count", type=int, default=16, help="places on a sheet; default: 16")
    parser.add_argument("--levels", type=float, default=0, help="least change of a place")
    parser.add_argument(
        "-o", dest="sheet", type=Path, help="PNG with the places of one kind of repair"
    )
    options = parser.parse_args()
    if options.sheet and len(options.repair) != 1:
        parser.error("-o needs --repair with one kind")
    try:
        film = read_film(options.film, options.frames)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    for kind in options.repair:
        results = repaired(film, kind)
        print(describe(film, results, kind))
        found = [place for place in places(film, results) if place.levels >= options.levels]
        if options.sheet and found:
            steps: list[float] = np.linspace(
                0, len(found) - 1, min(options.count, len(found))
            ).tolist()
            picture = draw(film, results, [found[round(step)] for step in steps])
            cv2.imwrite(str(options.sheet), picture[:, :, ::-1])
            print(f"{len(found)} places; {options.sheet}")


if __name__ == "__main__":
    main()
