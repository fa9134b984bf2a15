"""Measure what ``--repair`` removes from a clean FILM that was damaged, and what else it changes.

    python scripts/measure_repair.py film.mp4 --damage dust,scratches,flicker --seed 3 --frames 16
    python scripts/measure_repair.py film.mp4 --damage scratches --json

The damage is that of training, drawn from the ranges of the recipe ``footage``, on luma. It is then
repaired by the stage of the program, in the shots that the program detects.

- ``removed``: the share of damaged pixels (by more than 12 levels of 255) that differ from the film
  by at most 8 levels, or a quarter of the damage, after repair.
- ``changed``: the share of undamaged pixels (by at most 1 level) that were changed as dust or as
  scratches. It must stay below 0.1 %.
- ``flicker removed``: the decrease in the second difference of brightness over time.
- ``PSNR before``, ``PSNR after``: of the damaged and the repaired luma, in dB.

Removed and changed are compared with the film that flickers alone, through the same curves. The
first and the last frame of a shot are left out: dust there stays.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vidrestore.errors import ConfigError, VidrestoreError
from vidrestore.faces.tracking.shot_detection import THUMBNAIL_SIDE_PX, mark_cuts
from vidrestore.media import open_source
from vidrestore.media.color.preview import preview_rgb
from vidrestore.repair.samples import luma_levels
from vidrestore.repair.stage import repair_frames
from vidrestore.settings import RepairName
from vidrestore.training.degradations.base import frame_rng, log_uniform, uniform
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.types import FloatArray, Frame, ToneCurve, TrackedFrame

MAX_CHANGED = 0.001
"""Bound of the share of undamaged pixels that are changed."""
_DAMAGED_LEVELS = 12
_GOOD_LEVELS = 1
_REMAINING_LEVELS = 8
_REMAINING_RATIO = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Damage of a film: first flicker, then scratches and dust."""

    tone: Tone
    marks: FilmDamage

    @classmethod
    def draw(cls, kinds: Sequence[RepairName], seed: int) -> "Damage":
        """Draw damage of some kinds; each kind is the same with or without the others."""
        rng = frame_rng(seed, 0)
        scratches = 1 + int(rng.poisson(0.9))
        strength = uniform(rng, (0.15, 0.75))
        specks = 1 + float(rng.exponential(2.0))
        speck_px = log_uniform(rng, (0.6, 2.2))
        hairs = uniform(rng, (0.02, 0.15))
        flicker = uniform(rng, (0.02, 0.08))
        has_dust = "dust" in kinds
        return cls(
            tone=Tone(flicker=flicker if "flicker" in kinds else 0.0, seed=seed),
            marks=FilmDamage(
                scratches=scratches if "scratches" in kinds else 0,
                scratch_strength=strength,
                specks_per_frame=specks if has_dust else 0.0,
                speck_px=speck_px,
                hair_probability=hairs if has_dust else 0.0,
                unevenness=0.0,
                seed=seed,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Damaged:
    """A clean frame and its damage."""

    clean: Frame
    toned: Frame
    """With flicker alone."""
    damaged: Frame
    shot: int


def damage_film(frames: Sequence[Frame], shots: Sequence[int], damage: Damage) -> list[Damaged]:
    """Return the frames of a film with damage in their luma."""
    items: list[Damaged] = []
    for number, (frame, shot) in enumerate(zip(frames, shots, strict=True)):
        levels = luma_levels(frame) / 255
        image = np.repeat(levels[:, :, None], 3, axis=2).astype(np.float32)
        toned = damage.tone.apply(image, number)
        items.append(
            Damaged(
                clean=frame,
                toned=_with_luma(frame, toned),
                damaged=_with_luma(frame, damage.marks.apply(toned, number)),
                shot=shot,
            )
        )
    return items


def _with_luma(frame: Frame, image_hwc: FloatArray) -> Frame:
    luma = np.rint(np.clip(image_hwc[:, :, 0], 0, 1) * frame.pixel_format.max_value)
    return frame.with_planes((luma.astype(frame.planes[0].dtype), *frame.planes[1:]))


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
    bad = removed = good = changed = 0
    for number, (item, result) in enumerate(zip(items, repaired, strict=True)):
        if not _is_inside_shot(items, number):
            continue
        curve = None if result.repair is None else result.repair.curve
        reference, before, after = (
            luma_levels(frame)
            for frame in (_curved(item.toned, curve), _curved(item.damaged, curve), result)
        )
        error, remaining = np.abs(before - reference), np.abs(after - reference)
        # The curve may raise contrast, so the damage is measured without it.
        harm = np.abs(luma_levels(item.damaged) - luma_levels(item.toned))
        is_bad, is_good = harm > _DAMAGED_LEVELS, harm <= _GOOD_LEVELS
        allowed = np.maximum(_REMAINING_LEVELS, _REMAINING_RATIO * error)
        bad += np.count_nonzero(is_bad)
        removed += np.count_nonzero(is_bad & (remaining <= allowed))
        good += np.count_nonzero(is_good)
        changed += np.count_nonzero(is_good & (after != before))
    cleans = [item.clean for item in items]
    return {
        "removed": removed / bad if bad else None,
        "changed": changed / good if good else None,
        "flicker removed": _flicker_removed(items, repaired) if "flicker" in kinds else None,
        "PSNR before": _psnr_db(cleans, [item.damaged for item in items]),
        "PSNR after": _psnr_db(cleans, repaired),
    }


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


def _psnr_db(cleans: Sequence[Frame], frames: Sequence[Frame]) -> float | None:
    squares = [
        float(np.square(luma_levels(frame) - luma_levels(clean)).mean())
        for clean, frame in zip(cleans, frames, strict=True)
    ]
    mean = sum(squares) / len(squares)
    return 10 * math.log10(255**2 / mean) if mean else None


def read_frames(path: Path, count: int) -> tuple[list[Frame], list[int]]:
    """Return the first frames of a film that has luma, and the numbers of their shots.

    Raises:
        ConfigError: It has fewer than three frames, or is RGB.
        MediaError: It cannot be read.
    """
    with open_source(path) as source:
        geometry = source.info.geometry
        frames = [*islice(source, count)]
    if len(frames) < 3 or frames[0].pixel_format.model == "rgb":
        raise ConfigError(f"{path}: a film with luma and at least 3 frames is needed")

    def thumbnail(frame: Frame) -> NDArray[np.uint8]:
        return preview_rgb(frame, geometry.of(frame), THUMBNAIL_SIDE_PX).rgb_hwc

    cuts = [is_cut for _, is_cut in mark_cuts(frames, thumbnail)]
    return frames, np.cumsum(cuts).tolist()


def _kinds(text: str) -> tuple[RepairName, ...]:
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
        "--damage", type=_kinds, default=get_args(RepairName), metavar="KINDS",
        help="dust,scratches,flicker (the default), or some of them",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="draws the damage; default: 0")
    parser.add_argument("--frames", type=int, default=16, help="frames to read; default: 16")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    kinds: tuple[RepairName, ...] = arguments.damage
    if arguments.seed < 0:
        parser.error("--seed must be 0 or more")
    try:
        damage = Damage.draw(kinds, arguments.seed)
        report = measure(damage_film(*read_frames(arguments.film, arguments.frames), damage), kinds)
    except VidrestoreError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        if value is None:
            print(f"{name:<17}nothing to measure")
        else:
            is_psnr = name.startswith("PSNR")
            print(f"{name:<17}{f'{value:.2f} dB' if is_psnr else f'{100 * value:.4f} %'}")


if __name__ == "__main__":
    main()
