"""A dry run estimates what a run would do, and leaves nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import Clip, make_clip
from support.fields import telecined_clip

from vidrestore import JobSettings, RestoreSettings, restore_video
from vidrestore.errors import MediaError
from vidrestore.jobs.estimate import dry_run

SETTINGS = RestoreSettings(codec="ffv1", device="cpu", precision="fp32")


def test_a_short_film_is_estimated_exactly(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(50))))
    estimate = dry_run(
        film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings(segment_seconds=0.5)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]
    assert (estimate.frames, estimate.faces, estimate.sampled_frames) == (50, 0, 50)
    assert estimate.segments == (2, 4)
    assert estimate.seconds > 0
    restore_video(film, tmp_path / "out.mkv", settings=SETTINGS)
    assert estimate.disk_bytes == 2 * (tmp_path / "out.mkv").stat().st_size
    assert estimate.free_bytes > 0


def test_a_long_film_is_sampled(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(500)), size_hw=(48, 96)))
    estimate = dry_run(film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings())
    assert estimate.frames == 500
    assert 200 < estimate.sampled_frames < 250
    restore_video(film, tmp_path / "out.mkv", settings=SETTINGS)
    assert estimate.disk_bytes == pytest.approx(2 * (tmp_path / "out.mkv").stat().st_size, rel=0.3)


def test_frames_are_counted_at_the_rate_of_the_result(tmp_path: Path) -> None:
    # A telecined film has five frames for every four of the result.
    film = telecined_clip(tmp_path / "film.mkv", 400)
    for settings, frames in ((SETTINGS, 400), (replace(SETTINGS, pulldown=True), 320)):
        estimate = dry_run(film, tmp_path / "out.mkv", settings=settings, job=JobSettings())
        assert estimate.sampled_frames < frames
        assert estimate.frames == pytest.approx(frames, abs=1)


def test_an_estimate_covers_only_the_time_range(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=tuple(range(50))))
    part = RestoreSettings(
        codec="ffv1", device="cpu", start_seconds=Fraction(1), end_seconds=Fraction(3, 2)
    )
    estimate = dry_run(film, tmp_path / "out.mkv", settings=part, job=JobSettings())
    assert estimate.frames in (12, 13)


def test_a_dry_run_refuses_what_a_run_would_refuse(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mkv")
    (tmp_path / "out.mkv").write_bytes(b"mine")
    with pytest.raises(MediaError, match="exists"):
        dry_run(film, tmp_path / "out.mkv", settings=SETTINGS, job=JobSettings())
