"""The sheet of faces before and after: what is on it, and what is refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.faceclips import face_picture, sideways_face_picture
from support.faces import face_at
from support.lookscripts import (
    face_film,
    look,
    look_sheet,
    run_script,
    sharpened_picture,
    woven_picture,
)

GRAY = 40


def sheet_of(target: Path, *words: object, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.uint8]:
    run_script(look, *words, "-o", target, monkeypatch=monkeypatch)
    bgr = cv2.imread(str(target), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.ascontiguousarray(bgr[:, :, ::-1])


def tiles_of(sheet: NDArray[np.uint8], columns: int) -> list[NDArray[np.uint8]]:
    """Return the images of a sheet of one pair, without label and edge."""
    width = (sheet.shape[1] - 6) // columns
    side = width - 3
    return [sheet[20 : 20 + side, index * width : index * width + side] for index in range(columns)]


def similarity_in(picture: NDArray[np.uint8], tile: NDArray[np.uint8]) -> float:
    """Return the similarity of a tile to the nearest region of an equally enlarged frame; 1: equal.

    Both at half their size, for speed.
    """
    small = cv2.resize(tile, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return max(
        float(
            cv2.matchTemplate(
                cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC),
                small,
                cv2.TM_CCOEFF_NORMED,
            ).max()
        )
        for scale in np.arange(0.5, 2.125, 0.125)
        if min(picture.shape[:2]) * scale >= len(small)
    )


def test_both_tiles_show_the_same_region_and_the_difference_shows_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = face_film(tmp_path / "film.mkv")
    sharp = face_film(tmp_path / "sharp.mkv", picture=sharpened_picture)
    arguments = ("--count", 1, "--frame", 5, "--difference")

    same = sheet_of(tmp_path / "same.png", film, film, *arguments, monkeypatch=monkeypatch)
    assert f"same.png: 1 face, {same.shape[1]} x {same.shape[0]}" in capsys.readouterr().out
    before, after, difference = tiles_of(same, 3)
    np.testing.assert_array_equal(before, after)
    assert (difference == 128).all()

    other = sheet_of(tmp_path / "other.png", film, sharp, *arguments, monkeypatch=monkeypatch)
    before, after, difference = tiles_of(other, 3)
    plain, clear = face_picture(5, (240, 320)), sharpened_picture(5, (240, 320))
    assert similarity_in(plain, before) > max(0.98, similarity_in(clear, before))
    assert similarity_in(clear, after) > max(0.95, similarity_in(plain, after))
    expected = np.clip((after.astype(int) - before) * 4 + 128, 0, 255)
    np.testing.assert_array_equal(difference, expected)
    again = sheet_of(tmp_path / "again.png", film, sharp, *arguments, monkeypatch=monkeypatch)
    np.testing.assert_array_equal(again, other)


def test_a_face_is_upright_and_of_one_size_for_any_film_and_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = face_film(
        tmp_path / "turned.mp4",
        frames=2,
        codec="libx264",
        options={"crf": "5", "preset": "veryfast"},
        size_hw=(320, 240),
        picture=sideways_face_picture,
        rotation_degrees=-90,
    )
    large = tmp_path / "large.png"
    picture = cv2.resize(face_picture(0, (240, 320)), (640, 480), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(large), picture[:, :, ::-1])
    still = tmp_path / "still.png"
    assert cv2.imwrite(str(still), face_picture(0, (240, 320))[:, :, ::-1])

    for source, arguments in ((still, ()), (turned, ("--end", "0.02"))):
        sheet = sheet_of(tmp_path / "x.png", source, large, *arguments, monkeypatch=monkeypatch)
        before, after = tiles_of(sheet, 2)
        assert similarity_in(face_picture(0, (240, 320)), before) > 0.97
        assert np.abs(before.astype(int) - after).mean() < 4


def test_one_field_of_an_interlaced_film_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = face_film(tmp_path / "fields.mkv", frames=4, picture=woven_picture, field_order="tff")
    flagless = face_film(tmp_path / "whole.mkv", frames=4, picture=face_picture)
    arguments = ("--frame", 0, "--count", 1)
    sheet = sheet_of(tmp_path / "x.png", film, flagless, *arguments, monkeypatch=monkeypatch)
    before, after = tiles_of(sheet, 2)
    # The dark field would darken the tile.
    assert before.mean() == pytest.approx(after.mean(), abs=3)


def test_the_chosen_times_are_the_same_in_any_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flashing(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return np.asarray(face_picture(0, size_hw) // 2 + number, dtype=np.uint8)

    # Long enough for its end to be looked up without decoding all of it.
    settings = {"picture": flashing, "frames": 100, "codec": "mpeg4", "options": {"g": "25"}}
    mkv, avi = (face_film(tmp_path / name, **settings) for name in ("film.mkv", "film.avi"))
    for source, result in ((mkv, avi), (avi, mkv)):
        sheet = sheet_of(tmp_path / "x.png", source, result, "--count", 2, monkeypatch=monkeypatch)
        side = sheet.shape[0] // 2 - 26
        for top in (20, 20 + side + 26):
            before, after = (
                float(sheet[top : top + side, left : left + side].mean()) for left in (0, side + 3)
            )
            assert after == pytest.approx(before, abs=0.2)


def test_frames_are_chosen_by_number_and_shown_with_their_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbered(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return np.asarray(face_picture(0, size_hw) // 2 + 8 * number, dtype=np.uint8)

    film = face_film(tmp_path / "film.mkv", picture=numbered)
    rounded = face_film(tmp_path / "rounded.mp4", picture=numbered, codec="libx264", options={})
    arguments = ("--frame", 9, "--frame", 2, "--count", 1)
    sheet = sheet_of(tmp_path / "x.png", film, rounded, *arguments, monkeypatch=monkeypatch)

    side = (sheet.shape[0] - 2 * 26) // 2
    levels = [
        float(sheet[top : top + side, left : left + side].mean())
        for top in (20, 20 + side + 26)
        for left in (0, side + 3)
    ]
    assert levels[1] == pytest.approx(levels[0], abs=2)
    assert levels[3] == pytest.approx(levels[2], abs=2)
    assert levels[2] - levels[0] == pytest.approx(8 * 7, abs=6)


def test_the_largest_face_of_each_interval_is_shown_and_then_others() -> None:
    def candidate(stretch: int, x: float, eyes_px: float) -> object:
        return look.Candidate(
            stretch=stretch,
            seconds=Fraction(stretch),
            frame_name="",
            face=face_at((x, 100), eyes_px=eyes_px),
            head_xyxy=(0, 0, 8, 8),
            before=np.zeros((8, 8, 3), dtype=np.uint8),
        )

    large, small = (
        [candidate(index, 100, 40) for index in range(3)],
        [candidate(index, 400, 15 + index) for index in range(3)],
    )
    everything = [*large, *small]
    assert look.select(everything, 1) == [large[0]]
    # 40 / 3 for a face shown twice is less than 17.
    assert look.select(everything, 3) == [large[0], large[1], small[2]]
    assert len(look.select(everything, 6)) == 6
    assert look.select([*large[:1], *small[:1]], 5) == [large[0], small[0]]


@pytest.mark.parametrize(
    ("side_px", "factor"),
    [(20, 4), (100, 4), (150, 3.25), (200, 2.5), (400, 1.25), (512, 1), (1024, 0.5)],
)
def test_small_faces_are_enlarged_in_quarter_steps_up_to_a_limit(
    side_px: int, factor: float
) -> None:
    assert look_sheet.enlarging(side_px, 512) == factor


def test_a_head_at_the_edge_is_shown_up_to_the_edge() -> None:
    corner = replace(face_at((20, 20)), box_xyxy=(-10.0, -20.0, 50.0, 60.0))
    assert look_sheet.head_box(corner, (240, 320), 320) == (0, 0, 160, 160)
    assert look_sheet.head_box(corner, (100, 320), 320) == (0, 0, 100, 100)


def test_a_region_grows_to_fill_its_tile_while_the_face_stays_large() -> None:
    face = replace(face_at((500, 500)), box_xyxy=(450.0, 450.0, 550.0, 550.0))
    # Twice the face is 200 px, enlarged 2.25 times to 450: 204 px fill 460.
    assert look_sheet.head_box(face, (1000, 1000), 460) == (398, 398, 602, 602)
    assert look_sheet.head_box(face, (1000, 1000), 2000) == (350, 350, 650, 650)


def test_films_that_cannot_be_shown_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = face_film(tmp_path / "film.mkv", frames=6)
    short = face_film(tmp_path / "short.mkv", frames=3)
    plain = face_film(tmp_path / "plain.mkv", frames=6, picture=None)
    wide = face_film(tmp_path / "wide.mkv", frames=6, size_hw=(240, 426))
    still = tmp_path / "still.png"
    assert cv2.imwrite(str(still), face_picture(0, (240, 320)))
    target = tmp_path / "x.png"
    for arguments, message in (
        ((plain, plain, "-o", target), r"plain\.mkv: no face in 24 of its frames"),
        (
            (film, short, "-o", target),
            r"short\.mkv: is 0\.08 s long.*film\.mkv is 0\.20 s.*--start",
        ),
        ((film, wide, "-o", target), r"wide\.mkv: is 426x240"),
        ((film, tmp_path / "none.mkv", "-o", target), r"none\.mkv: no such file"),
        ((film, film, "-o", target, "--frame", 6), r"no frame 6; its frames are 0 to 5"),
        ((film, film, "-o", tmp_path / "x.gif"), r"x\.gif: the sheet is an image"),
        ((still, still, "-o", still), r"still\.png: is the source or the result"),
        ((film, film, "-o", tmp_path / "no" / "x.png"), r"x\.png: cannot be written"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            run_script(look, *arguments, monkeypatch=monkeypatch)
    assert not target.exists()
