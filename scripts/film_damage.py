"""Films and the damage of film, for ``measure_repair.py`` and ``look_repair.py``."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.faces.tracking.shot_detection import THUMBNAIL_SIDE_PX, mark_cuts
from vidrestore.media.color.preview import preview_luma
from vidrestore.media.input.source import open_source
from vidrestore.settings import RepairName
from vidrestore.training.degradations.base import frame_rng, log_uniform, uniform
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.types import DisplayGeometry, FloatArray, Frame, Plane

_GRAY = 0.5
"""Chroma without color."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film:
    """The first frames of a film."""

    frames: list[Frame]
    shots: list[int]
    """The number of each frame's shot."""
    geometry: DisplayGeometry


def read_film(path: Path, count: int) -> Film:
    """Return the first frames of a film.

    Raises:
        ConfigError: It has fewer than three frames.
        MediaError: It cannot be read.
    """
    with open_source(path) as source:
        geometry = source.info.geometry
        frames = [*islice(source, count)]
    if len(frames) < 3:
        raise ConfigError(f"{path}: a film with at least 3 frames is needed")

    cuts = mark_cuts(frames, lambda frame: preview_luma(frame, THUMBNAIL_SIDE_PX))
    is_cut = [is_cut for _, is_cut in cuts]
    return Film(frames=frames, shots=np.cumsum(is_cut).tolist(), geometry=geometry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Damage of a film: first flicker, then scratches and dust."""

    tone: Tone
    marks: FilmDamage
    layers_rgb: tuple[float, float, float]
    """How strong scratches and dust are in each dye layer, relative to white or black ones."""

    @classmethod
    def draw(cls, kinds: Sequence[RepairName], seed: int, *, colored: bool = False) -> "Damage":
        """Draw damage of some kinds; each kind is the same with or without the others."""
        rng = frame_rng(seed, 0)
        scratches = 1 + int(rng.poisson(0.9))
        strength = uniform(rng, (0.15, 0.75))
        specks = 1 + float(rng.exponential(2.0))
        speck_px = log_uniform(rng, (0.6, 2.2))
        hairs = uniform(rng, (0.02, 0.15))
        flicker = uniform(rng, (0.02, 0.08))
        has_dust = "dust" in kinds
        red, green, blue = (uniform(rng, (0.1, 1.0)) for _ in range(3))
        return cls(
            layers_rgb=(red, green, blue) if colored else (1.0, 1.0, 1.0),
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


def damage_film(film: Film, damage: Damage) -> list[Damaged]:
    """Return the frames of a film that has luma, damaged."""
    items: list[Damaged] = []
    for number, (frame, shot) in enumerate(zip(film.frames, film.shots, strict=True)):
        toned = _toned(frame, damage.tone, number)
        damaged = _marked(toned, damage, number)
        items.append(Damaged(clean=frame, toned=toned, damaged=damaged, shot=shot))
    return items


def _toned(frame: Frame, tone: Tone, number: int) -> Frame:
    luma, *chroma = _samples(frame)
    toned = tone.apply(np.repeat(luma[:, :, None], 3, axis=2), number)[:, :, 0]
    gain = float(tone.apply(np.full((1, 1, 3), _GRAY, dtype=np.float32), number).mean()) / _GRAY
    return _with_samples(frame, [toned, *(_GRAY + gain * (plane - _GRAY) for plane in chroma)])


def _marked(frame: Frame, damage: Damage, number: int) -> Frame:
    """Return a frame with scratches and dust, which are drawn in RGB."""
    luma, *chroma = _samples(frame)
    height, width = luma.shape
    large = [cv2.resize(plane, (width, height)) for plane in chroma] or [0 * luma + _GRAY] * 2
    ycrcb = cv2.merge([luma, *large[::-1]])
    rgb = np.asarray(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB), dtype=np.float32)
    change = (damage.marks.apply(rgb, number) - rgb) * np.array(damage.layers_rgb, dtype=np.float32)
    change_luma, cr, cb = cv2.split(cv2.cvtColor(change, cv2.COLOR_RGB2YCrCb))
    changes = (
        cv2.resize(each - _GRAY, plane.shape[::-1], interpolation=cv2.INTER_AREA)
        for each, plane in zip((cb, cr), chroma, strict=False)
    )
    marked = (plane + each for plane, each in zip(chroma, changes, strict=True))
    return _with_samples(frame, [luma + change_luma, *marked])


def _samples(frame: Frame) -> list[FloatArray]:
    """Return luma, and chroma where there is any, in [0, 1]."""
    scale = np.float32(1 / frame.pixel_format.max_value)
    return [plane.astype(np.float32) * scale for plane in color_planes(frame)]


def color_planes(frame: Frame) -> Sequence[Plane]:
    """Return the planes of a frame without alpha."""
    return frame.planes[: frame.pixel_format.plane_count - int(frame.pixel_format.has_alpha)]


def _with_samples(frame: Frame, samples: Sequence[FloatArray]) -> Frame:
    max_value = frame.pixel_format.max_value
    planes = [
        np.rint(np.clip(each, 0, 1) * max_value).astype(plane.dtype)
        for each, plane in zip(samples, frame.planes, strict=False)
    ]
    return frame.with_planes((*planes, *frame.planes[len(planes) :]))
