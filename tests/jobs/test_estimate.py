"""A dry run tells what a run would do, and leaves nothing."""

from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import Clip, make_clip

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import MediaError
from vidrestore.jobs.estimate import dry_run

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")


def test_a_short_film_is_told_exactly(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(50))))
    told = dry_run(
        film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings(segment_seconds=0.5)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]
    assert (told.frames, told.faces, told.sampled_frames) == (50, 0, 50)
    assert told.segments == (2, 4)
    assert told.seconds > 0
    restore_video(film, tmp_path / "out.mkv", settings=SETTINGS)
    assert told.disk_bytes == 2 * (tmp_path / "out.mkv").stat().st_size
    assert told.free_bytes > 0


def test_a_long_film_is_sampled(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(500)), size_hw=(48, 96)))
    told = dry_run(film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings())
    assert told.frames == 500
    assert 200 < told.sampled_frames < 250
    restore_video(film, tmp_path / "out.mkv", settings=SETTINGS)
    assert told.disk_bytes == pytest.approx(2 * (tmp_path / "out.mkv").stat().st_size, rel=0.3)


def test_only_the_part_asked_for_counts(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(50))))
    part = RestoreSettings(
        codec="ffv1", device="cpu", start_seconds=Fraction(1), end_seconds=Fraction(3, 2)
    )
    told = dry_run(film, tmp_path / "out.mkv", settings=part, job=JobSettings())
    assert told.frames in (12, 13)


def test_what_a_run_would_refuse_is_refused(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv")
    (tmp_path / "out.mkv").write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        dry_run(film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings())
