"""Measure what ``--repair`` removes from a clean FILM that was damaged, and what else it changes.

    python scripts/measure_repair.py film.mp4 --damage dust,scratches,flicker --seed 3 --frames 16
    python scripts/measure_repair.py film.mp4 --damage scratches --colored --json

The damage is that of training, drawn from the ranges of the recipe ``footage``: white or black, or
with ``--colored`` stronger in some of the film's dye layers than in others. It is then repaired by
the stage of the program, in the shots that the program detects.

- ``luma removed``: the share of damaged pixels (by more than 12 levels of 255) that differ from the
  film by at most 8 levels, or a quarter of the damage, after repair. ``chroma removed``: the same
  for samples of chroma, with 6 levels and 4.
- ``luma changed``, ``chroma changed``: the share of undamaged samples (by at most 1 level) that
  were changed as dust or as scratches. It must stay below 0.1 %.
- ``flicker removed``: the decrease in the second difference of brightness over time.
- ``PSNR before``, ``PSNR after``: of the damaged and the repaired film, in dB.

Removed and changed are compared with the film that flickers alone, through the same curves. The
first and the last frame of a shot are left out: dust there stays.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from film_damage import Damage, Damaged, color_planes, damage_film, read_film
from numpy.typing import NDArray

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.repair.samples import luma_levels
from vidrestore.repair.stage import repair_frames
from vidrestore.settings import RepairName
from vidrestore.types import FloatArray, Frame, ToneCurve, TrackedFrame

MAX_CHANGED = 0.001
"""Bound of the share of undamaged pixels that are changed."""
_GOOD_LEVELS = 1
_REMAINING_RATIO = 0.25


@dataclass(frozen=True, slots=True)
class Planes:
    """Planes that are measured together."""

    name: str
    indices: tuple[int, ...]
    damaged_levels: float
    remaining_levels: float


_GROUPS = (Planes("luma", (0,), 12, 8), Planes("chroma", (1, 2), 6, 4))


def measure(items: Sequence[Damaged], kinds: Sequence[RepairName]) -> dict[str, float | None]:
    """Repair damaged frames, and return the figures.

    Args:
        items: From ``damage_film``.
        kinds: What is repaired.

    Returns:
        Shares in [0, 1] and PSNR in dB; None where there is nothing to measure.
    """
    tracked = [TrackedFrame(frame=item.damaged, shot=item.shot, faces=()) for item in items]
    repaired = [each.frame for each in repair_frames(tracked, kinds)]
    cleans, damaged = [item.clean for item in items], [item.damaged for item in items]
    report: dict[str, float | None] = {}
    for group in _GROUPS:
        if len(color_planes(cleans[0])) <= group.indices[0]:
            continue
        report |= _shares(items, repaired, group)
        report[f"{group.name} PSNR before"] = _psnr_db(cleans, damaged, group)
        report[f"{group.name} PSNR after"] = _psnr_db(cleans, repaired, group)
    if "flicker" in kinds:
        report["flicker removed"] = _flicker_removed(items, repaired)
    return report


def _shares(
    items: Sequence[Damaged], repaired: Sequence[Frame], group: Planes
) -> dict[str, float | None]:
    bad = removed = good = changed = 0
    for number, (item, result) in enumerate(zip(items, repaired, strict=True)):
        if not _is_inside_shot(items, number):
            continue
        curve = None if result.repair is None else result.repair.curve
        frames = (_curved(item.toned, curve), _curved(item.damaged, curve), result)
        for index in group.indices:
            reference, before, after = (_levels(frame, index) for frame in frames)
            error, remaining = np.abs(before - reference), np.abs(after - reference)
            # The curve may raise contrast, so the damage is measured without it.
            harm = np.abs(_levels(item.damaged, index) - _levels(item.toned, index))
            is_bad, is_good = harm > group.damaged_levels, harm <= _GOOD_LEVELS
            allowed = np.maximum(group.remaining_levels, _REMAINING_RATIO * error)
            bad += np.count_nonzero(is_bad)
            removed += np.count_nonzero(is_bad & (remaining <= allowed))
            good += np.count_nonzero(is_good)
            changed += np.count_nonzero(is_good & (after != before))
    return {
        f"{group.name} removed": removed / bad if bad else None,
        f"{group.name} changed": changed / good if good else None,
    }


def _levels(frame: Frame, index: int) -> FloatArray:
    return frame.planes[index].astype(np.float32) * np.float32(255 / frame.pixel_format.max_value)


def _is_inside_shot(items: Sequence[Damaged], number: int) -> bool:
    around = [items[other].shot for other in (number - 1, number + 1) if 0 <= other < len(items)]
    return around == [items[number].shot] * 2


def _curved(frame: Frame, curve: ToneCurve | None) -> Frame:
    if curve is None:
        return frame
    return frame.with_planes(tuple(curve.apply(frame.planes, frame.pixel_format)))


def _flicker_removed(items: Sequence[Damaged], repaired: Sequence[Frame]) -> float | None:
    """Return the decrease in the flicker that was added."""
    curves = [None if frame.repair is None else frame.repair.curve for frame in repaired]
    results = [_curved(item.toned, curve) for item, curve in zip(items, curves, strict=True)]

    def added(frames: Sequence[Frame]) -> NDArray[np.float64]:
        changes = [
            float((luma_levels(frame) - luma_levels(item.clean)).mean())
            for frame, item in zip(frames, items, strict=True)
        ]
        return np.abs(np.diff(changes, n=2))

    before = float(added([item.toned for item in items]).sum())
    return 1 - float(added(results).sum()) / before if before else None


def _psnr_db(cleans: Sequence[Frame], frames: Sequence[Frame], group: Planes) -> float | None:
    squares = [
        float(np.square(_levels(frame, index) - _levels(clean, index)).mean())
        for clean, frame in zip(cleans, frames, strict=True)
        for index in group.indices
    ]
    mean = sum(squares) / len(squares)
    return 10 * math.log10(255**2 / mean) if mean else None


def repair_kinds(text: str) -> tuple[RepairName, ...]:
    """Parse ``dust,scratches,flicker``, or some of them."""
    names = text.split(",")
    kinds = tuple(kind for kind in get_args(RepairName) if kind in names)
    if len(kinds) != len(names):
        raise argparse.ArgumentTypeError(f"one or more of {','.join(get_args(RepairName))}")
    return kinds


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, help="a clean film")
    parser.add_argument(
        "--damage", type=repair_kinds, default=get_args(RepairName), metavar="KINDS",
        help="dust,scratches,flicker (the default), or some of them",
    )  # fmt: skip
    parser.add_argument("--colored", action="store_true", help="scratches and dust have a color")
    parser.add_argument("--seed", type=int, default=0, help="draws the damage; default: 0")
    parser.add_argument("--frames", type=int, default=16, help="frames to read; default: 16")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    kinds: tuple[RepairName, ...] = arguments.damage
    if arguments.seed < 0:
        parser.error("--seed must be 0 or more")
    try:
        damage = Damage.draw(kinds, arguments.seed, colored=arguments.colored)
        film = read_film(arguments.film, arguments.frames)
        if film.frames[0].pixel_format.model == "rgb":
            raise ConfigError(f"{arguments.film}: a film with luma is needed")
        report = measure(damage_film(film, damage), kinds)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        if value is None:
            print(f"{name:<20}nothing to measure")
        else:
            print(f"{name:<20}{f'{value:.2f} dB' if 'PSNR' in name else f'{100 * value:.4f} %'}")


if __name__ == "__main__":
    main()
