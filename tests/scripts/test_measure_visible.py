"""Figures of a pair of films, whatever they are: the script that measures what is to be seen."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support.faceclips import face_picture, sideways_face_picture
from support.lookscripts import (
    face_film,
    film_pairs,
    measure_visible,
    run_script,
    sharpened_picture,
    woven_picture,
)


def figures(
    *words: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, float]:
    run_script(measure_visible, *words, "--json", monkeypatch=monkeypatch)
    return json.loads(capsys.readouterr().out)


def test_an_equal_film_shows_no_change_and_a_sharpened_one_edges_and_skin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = face_film(tmp_path / "film.mkv")
    other = face_film(tmp_path / "sharp.mkv", picture=sharpened_picture)

    same = figures(film, film, monkeypatch=monkeypatch, capsys=capsys)
    assert same == {
        "frames": 12, "edges": 1, "flat": 1, "clarity": 1, "change": 0, "tremble": 1, "flicker": 1,
        "jitter": 1,
    }  # fmt: skip
    result = figures(film, other, monkeypatch=monkeypatch, capsys=capsys)
    assert result["edges"] > 1.3
    assert result["flat"] > 1.3
    assert result["change"] > 1
    assert result["flicker"] > 1

    run_script(measure_visible, film, other, monkeypatch=monkeypatch)
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert float(lines["edges"]) == result["edges"]


def test_a_time_range_is_compared_with_its_part_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = face_film(tmp_path / "film.mkv")
    part = face_film(
        tmp_path / "part.mkv", frames=5, picture=lambda number, hw: face_picture(number + 5, hw)
    )

    with pytest.raises(SystemExit, match=r"part\.mkv: ends after 5 frames.*--start and --end"):
        figures(film, part, monkeypatch=monkeypatch, capsys=capsys)
    result = figures(
        film, part, "--start", "0.2", "--end", "0.4", monkeypatch=monkeypatch, capsys=capsys
    )
    assert (result["frames"], result["change"]) == (5, 0)
    # As far as both go on, a shorter look needs no part.
    few = figures(
        film, film, "--first-frame", 3, "--frames", 4, monkeypatch=monkeypatch, capsys=capsys
    )
    assert few["frames"] == 4


def test_rotated_films_images_and_other_sizes_are_measured_as_displayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sideways = face_film(
        tmp_path / "turned.mp4",
        frames=4,
        codec="libx264",
        options={"qp": "0", "preset": "veryfast"},
        size_hw=(320, 240),
        picture=sideways_face_picture,
        rotation_degrees=-90,
    )
    upright = face_film(tmp_path / "upright.mkv", frames=4)
    result = figures(sideways, upright, monkeypatch=monkeypatch, capsys=capsys)
    assert result["frames"] == 4
    assert result["edges"] == pytest.approx(1, abs=0.05)
    assert result["change"] < 1

    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        large = cv2.resize(face_picture(number, (240, 320)), (640, 480), interpolation=2)
        assert cv2.imwrite(str(folder / f"{number}.png"), large[:, :, ::-1])
    result = figures(upright, folder, monkeypatch=monkeypatch, capsys=capsys)
    assert result["edges"] == pytest.approx(1, abs=0.05)
    assert result["change"] < 2


def test_fields_of_an_interlaced_film_are_compared_separately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = face_film(tmp_path / "fields.mkv", frames=4, picture=woven_picture, field_order="tff")
    with film_pairs.open_container(film) as opened:
        frame = next(iter(opened.source))
        luma = film_pairs.luma_levels(opened.shown(frame), opened.geometry, (100, 40, 200, 140))
    assert luma.shape == (50, 100)
    # Rows of the dark field would be every second one.
    assert np.abs(np.diff(luma, axis=0)).mean() < 20
    result = figures(film, film, monkeypatch=monkeypatch, capsys=capsys)
    assert (result["frames"], result["edges"]) == (4, 1)


def test_luma_is_in_8_bit_levels_at_any_depth(tmp_path: Path) -> None:
    def gray(_number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return np.full((*size_hw, 3), 128, dtype=np.uint8)

    shared = {"frames": 1, "picture": gray}
    films = {
        face_film(tmp_path / "8.mkv", **shared): 128.0,
        face_film(tmp_path / "10.mkv", pixel_format="yuv420p10le", **shared): 128.0,
        face_film(tmp_path / "rgb.mkv", pixel_format="gbrp10le", **shared): 128.0,
        # Written in limited range, and said to be full.
        face_film(tmp_path / "full.mkv", color=(1, 1, 1, 2), **shared): 126.0,
    }
    for film, level in films.items():
        with film_pairs.open_container(film) as opened:
            frame = next(iter(opened.source))
            luma = film_pairs.luma_levels(frame, opened.geometry, (10, 10, 30, 20))
            assert luma.shape == (10, 20)
            assert luma == pytest.approx(np.full((10, 20), level), abs=1), film
            hdr = replace(frame.color, primaries=9, transfer=16, matrix=9)
            view = film_pairs.luma_levels(
                replace(frame, color=hdr), opened.geometry, (10, 10, 30, 20)
            )
            # Half of PQ's signal is 92 of the 203 cd/m2 that are white.
            assert 150 < float(view.mean()) < 200, film


def test_films_that_cannot_be_compared_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = face_film(tmp_path / "film.mkv", frames=3)
    plain = face_film(tmp_path / "plain.mkv", frames=3, picture=None)
    wide = face_film(tmp_path / "wide.mkv", frames=3, size_hw=(240, 426))
    for arguments, message in (
        ((plain, plain), r"plain\.mkv: no face in 60 frames"),
        ((film, wide), r"wide\.mkv: is 426x240, but .*film\.mkv is 320x240"),
        ((film, tmp_path / "none.mkv"), r"none\.mkv: no such file"),
        ((tmp_path / "none.mkv", film), r"none\.mkv: no such file"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            figures(*arguments, monkeypatch=monkeypatch, capsys=capsys)
