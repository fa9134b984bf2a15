"""A proof at the end of a run: of a good result a note, of another an error."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import load_fake_restorer

from vidrestore import Progress, RestoreSettings, VerificationError, restore_video
from vidrestore.cli import main
from vidrestore.jobs.verify_result import verify_result
from vidrestore.media.input.video_info import probe
from vidrestore.pipeline import setup
from vidrestore.record import RecordReader

FRAMES = 4


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Path]:
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)

    def film(name: str, frames: int) -> Path:
        clip = Clip(ticks=range(frames), size_hw=FACE_SIZE_HW, picture=face_picture)
        return make_clip(tmp_path / name, clip)

    return film


def test_a_run_is_verified_with_its_record_next_to_the_output(
    make: Callable[[str, int], Path],
) -> None:
    film = make("film.mkv", FRAMES)
    updates: list[Progress] = []
    settings = RestoreSettings(codec="ffv1", verify=True)
    report = restore_video(
        film, film.with_name("out.mkv"), settings=settings, on_progress=updates.append
    )

    assert any(note.startswith("verified: nothing else changed") for note in report.notes)
    assert film.with_name("out.jsonl").is_file()
    assert updates[-1].stage == "comparing"
    assert updates[-1].frames_done == FRAMES


def test_verify_fails_a_result_that_differs_outside_the_faces(
    make: Callable[[str, int], Path],
) -> None:
    film, other = make("film.mkv", FRAMES), make("other.mkv", FRAMES - 1)

    with pytest.raises(VerificationError, match=r"other\.mkv: changed outside the faces: frames"):
        verify_result(film, other, RestoreSettings(), lambda _progress: None)


def test_the_archive_profile_writes_every_output_it_sets(
    make: Callable[[str, int], Path],
) -> None:
    film = make("film.mkv", FRAMES)
    master = film.with_name("master.mkv")

    assert main([str(film), "-o", str(master), "--profile", "archive", "--quiet"]) == 0
    assert probe(master).codec == "ffv1"
    with RecordReader(film.with_name("master.jsonl")) as record:
        settings = record.header.settings
    assert (settings["detail"], settings["codec"], settings["verify"]) == (0.0, "ffv1", True)
