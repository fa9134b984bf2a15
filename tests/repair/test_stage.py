"""Whole frames are repaired: damage goes, and next to nothing else changes."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.frames import FORMATS, YUV420, random_frame

from vidrestore.repair.stage import repair_context_frames, repair_frames
from vidrestore.settings import RepairName
from vidrestore.training.degradations.fading import Tone
from vidrestore.training.degradations.film_damage import FilmDamage
from vidrestore.types import FloatArray, Frame, PixelFormat, TrackedFrame

ALL: tuple[RepairName, ...] = ("dust", "scratches", "flicker")
FRAMES = 14
HW = (192, 256)


def scene(index: int) -> FloatArray:
    """Return a textured picture that moves, ``(H, W, 3)`` in [0, 1]."""
    texture = np.random.default_rng(5).random((15, 23)).astype(np.float32)
    large = cv2.resize(texture, (360, 240), interpolation=cv2.INTER_CUBIC)
    gray = 0.25 + 0.5 * large[10 : 10 + HW[0], 2 * index : 2 * index + HW[1]]
    return np.repeat(gray[:, :, None], 3, axis=2).astype(np.float32)


def film(
    damage: Callable[[FloatArray, int], FloatArray], pixel_format: PixelFormat = YUV420
) -> list[TrackedFrame]:
    """Return the damaged scene; its luma, or every plane of RGB, is the picture."""
    tracked: list[TrackedFrame] = []
    for index in range(FRAMES):
        frame = random_frame(pixel_format, HW, smooth=True, index=index)
        picture = np.clip(damage(scene(index), index)[:, :, 0], 0, 1) * pixel_format.max_value
        sample = np.rint(picture).astype(frame.planes[0].dtype)
        count = 3 if pixel_format.model == "rgb" else 1
        planes = (*[sample] * count, *frame.planes[count:])
        tracked.append(TrackedFrame(frame=frame.with_planes(planes), shot=0, faces=()))
    return tracked


def lumas(frames: list[TrackedFrame]) -> list[np.ndarray]:
    return [frame.frame.planes[0].astype(int) for frame in frames]


def undamaged(picture: FloatArray, _index: int) -> FloatArray:
    return picture


DAMAGE = {
    "scratches": 0,
    "scratch_strength": 0.5,
    "specks_per_frame": 0.0,
    "speck_px": 2.0,
    "hair_probability": 0.0,
    "unevenness": 0.0,
    "seed": 7,
}


def shares(kinds: tuple[RepairName, ...], **damage: float) -> tuple[float, float]:
    """Return the shares of damaged pixels that are repaired, and of good ones that are changed."""
    harm = FilmDamage(**{**DAMAGE, **damage}).apply  # type: ignore[arg-type]
    clean, damaged = lumas(film(undamaged)), film(harm)
    repaired = lumas([*repair_frames(damaged, kinds)])
    bad = removed = good = changed = 0
    # The first and the last frame of a shot have one neighbor.
    for before, harmed, after in list(zip(clean, lumas(damaged), repaired, strict=True))[1:-1]:
        error = np.abs(harmed - before)
        is_bad, is_good = error > 12, error <= 1
        bad += np.count_nonzero(is_bad)
        removed += np.count_nonzero(is_bad & (np.abs(after - before) <= np.maximum(8, error / 4)))
        good += np.count_nonzero(is_good)
        changed += np.count_nonzero(is_good & (after != harmed))
    return removed / max(1, bad), changed / good


def test_most_dust_is_removed_and_undamaged_pixels_are_kept() -> None:
    removed, changed = shares(("dust",), specks_per_frame=4.0)

    assert removed > 0.8
    assert changed < 0.001


def test_most_of_a_scratch_is_removed_and_undamaged_pixels_are_kept() -> None:
    removed, changed = shares(("scratches",), scratches=1, seed=3)

    assert removed > 0.6
    assert changed < 0.001


@pytest.mark.parametrize(("scratches", "strength", "seed"), [(1, 0.75, 1), (3, 0.5, 8)])
def test_strong_scratches_leave_no_lines_beside_them(
    scratches: int, strength: float, seed: int
) -> None:
    """The film beside a bright line seems dark, and between two lines even more so."""
    removed, changed = shares(
        ("scratches",), scratches=scratches, scratch_strength=strength, seed=seed
    )

    assert removed > 0.7
    assert changed < 0.001


def test_the_bright_rim_of_an_edge_is_not_taken_for_a_scratch() -> None:
    """Sharpening leaves it; here that of a door in a static shot."""

    def with_door(picture: FloatArray, _index: int) -> FloatArray:
        picture = 0.5 + 0.2 * (picture - 0.5)
        picture[:, 120:] -= 0.3
        picture[:, 118:120] += 0.04
        return picture

    clean = film(with_door)
    repaired = [*repair_frames(clean, ("scratches",))]

    assert all(np.array_equal(*pair) for pair in zip(lumas(clean), lumas(repaired), strict=True))


def test_upright_texture_is_no_scratch() -> None:
    """As bark that moves past a plain wall: clearer than the noise of the wall."""

    def with_bark(picture: FloatArray, index: int) -> FloatArray:
        picture = 0.5 + 0.02 * (picture - 0.5)
        noise = np.random.default_rng(9).standard_normal((HW[0] + FRAMES, 48 + FRAMES))
        bark = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), sigmaX=1.0, sigmaY=6.0)
        bark = bark[index : index + HW[0], index : index + 48] * (0.02 / float(bark.std()))
        picture[:, :48] += bark[:, :, None]
        return picture

    clean = film(with_bark)
    repaired = [*repair_frames(clean, ("scratches",))]

    assert all(np.array_equal(*pair) for pair in zip(lumas(clean), lumas(repaired), strict=True))


def test_a_line_of_color_is_no_scratch_where_luma_has_none() -> None:
    """As the blurred color beside an edge; the line in luma is too faint to be removed."""
    clean: list[TrackedFrame] = []
    for tracked in film(undamaged):
        luma, cb, cr = (np.full_like(plane, 128) for plane in tracked.frame.planes)
        luma[:, 100] += 2
        cb[:, 49:51] += 12
        clean.append(replace(tracked, frame=tracked.frame.with_planes((luma, cb, cr))))

    repaired = [*repair_frames(clean, ("scratches",))]

    for before, after in zip(clean, repaired, strict=True):
        assert after.frame.repair is not None, "the line is found"
        for plane, same in zip(before.frame.planes, after.frame.planes, strict=True):
            assert np.array_equal(plane, same)


def test_an_undamaged_film_is_left_alone() -> None:
    _, changed = shares(ALL)

    assert changed < 0.0001


def test_flicker_is_removed_by_the_recorded_curve() -> None:
    flickering = film(Tone(flicker=0.06, seed=3).apply)
    repaired = [*repair_frames(flickering, ("flicker",))]

    def unsteadiness(frames: list[TrackedFrame]) -> float:
        return float(np.abs(np.diff([luma.mean() for luma in lumas(frames)], n=2)).mean())

    assert unsteadiness(repaired) < 0.2 * unsteadiness(flickering)
    curves = 0
    for before, after in zip(flickering, repaired, strict=True):
        repair = after.frame.repair
        if repair is None or repair.curve is None:
            assert after is before
            continue
        curves += 1
        assert repair.source is before.frame
        expected = repair.curve.apply(before.frame.planes, before.frame.pixel_format)
        for plane, other in zip(expected, after.frame.planes, strict=True):
            assert np.array_equal(plane, other)
    assert curves > FRAMES / 2


@pytest.mark.parametrize("pixel_format", FORMATS, ids=lambda pixel_format: pixel_format.name)
def test_every_change_is_inside_a_box_or_follows_from_the_curve(pixel_format: PixelFormat) -> None:
    def harm(picture: FloatArray, index: int) -> FloatArray:
        toned = Tone(flicker=0.06, seed=3).apply(picture, index)
        settings = {**DAMAGE, "scratches": 1, "specks_per_frame": 4.0, "seed": 3}
        return FilmDamage(**settings).apply(toned, index)  # type: ignore[arg-type]

    specks = scratched = 0
    for tracked in repair_frames(film(harm, pixel_format), ALL):
        repair = tracked.frame.repair
        if repair is None:
            continue
        specks += repair.specks
        scratched += bool(repair.scratches_xyxy)
        assert_only_recorded_changes(tracked.frame)
    assert specks > FRAMES
    assert scratched > FRAMES / 2


def assert_only_recorded_changes(frame: Frame) -> None:
    repair, pixel_format = frame.repair, frame.pixel_format
    assert repair is not None
    planes = repair.source.planes
    if repair.curve is not None:
        planes = repair.curve.apply(planes, pixel_format)
    for number, (before, after) in enumerate(zip(planes, frame.planes, strict=True)):
        differs = before != after
        chroma = pixel_format.model == "yuv" and number > 0
        shift_x, shift_y = pixel_format.chroma_shift_xy if chroma else (0, 0)
        if not (pixel_format.has_alpha and number == pixel_format.plane_count - 1):
            for left, top, right, bottom in repair.dust_xyxy + repair.scratches_xyxy:
                differs[
                    top >> shift_y : -(-bottom >> shift_y), left >> shift_x : -(-right >> shift_x)
                ] = False
        assert not differs.any()


def test_a_frame_depends_on_as_many_neighbors_as_are_declared() -> None:
    context = repair_context_frames(ALL)
    assert context == 15
    damaged = film(FilmDamage(**{**DAMAGE, "specks_per_frame": 4.0}).apply)  # type: ignore[arg-type]
    longer = [
        replace(each, frame=replace(each.frame, index=index))
        for index, each in enumerate([*damaged, *damaged, *damaged])
    ]
    whole = [*repair_frames(longer, ALL)]
    part = [*repair_frames(longer[3:], ALL)]

    for first, other in zip(whole[3 + context :], part[context:], strict=True):
        for plane, same in zip(first.frame.planes, other.frame.planes, strict=True):
            assert np.array_equal(plane, same)


def test_nothing_crosses_a_shot_change() -> None:
    damaged = film(FilmDamage(**{**DAMAGE, "specks_per_frame": 4.0}).apply)  # type: ignore[arg-type]
    alone = [*repair_frames(damaged[:7], ALL)]
    shots = [replace(each, shot=int(number >= 7)) for number, each in enumerate(damaged)]

    for first, other in zip(alone, [*repair_frames(shots, ALL)][:7], strict=True):
        assert np.array_equal(first.frame.planes[0], other.frame.planes[0])
