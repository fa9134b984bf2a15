"""One track of a film restored alone: the same there, and nothing anywhere else."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import Clip, make_clip
from support.faceclips import face_picture

from vidrestore import RestoreSettings, restore_video
from vidrestore.media.input.source import open_source
from vidrestore.record import RecordReader
from vidrestore.settings import TrackStrength

FACE_WIDTH = 240


def two_faces(number: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size_hw
    half = face_picture(number, (height, width // 2))
    return np.concatenate([half, half], axis=1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "two.mkv"
    clip = Clip(size_hw=(200, 2 * FACE_WIDTH), ticks=(0, 1), picture=two_faces)
    return make_clip(path, clip)


def halves(path: Path) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Return the luma left and right of the middle, of every frame."""
    with open_source(path) as source:
        lumas = [frame.planes[0] for frame in source]
    return [(luma[:, :FACE_WIDTH], luma[:, FACE_WIDTH:]) for luma in lumas]


def restore(film: Path, name: str, **changes: object) -> tuple[Path, int]:
    settings = {"codec": "ffv1", "device": "cpu", "precision": "fp32", **changes}
    target = film.with_name(name)
    report = restore_video(film, target, settings=RestoreSettings(**settings))  # type: ignore[arg-type]
    return target, report.faces


def test_only_track_restores_its_track_as_a_full_run_would(film: Path) -> None:
    both, faces = restore(film, "both.mkv")
    alone_path, faces_alone = restore(film, "lone.mkv", only_tracks=(2,))
    assert (faces, faces_alone) == (4, 2)

    sides: set[int] = set()
    for before, after, alone in zip(halves(film), halves(both), halves(alone_path), strict=True):
        changed = [bool((old != new).any()) for old, new in zip(before, alone, strict=True)]
        assert sorted(changed) == [False, True]
        side = changed.index(True)
        np.testing.assert_array_equal(alone[side], after[side])
        sides.add(side)
    assert len(sides) == 1


def test_only_a_track_with_its_own_strength_changes_and_the_result_verifies(film: Path) -> None:
    restore(film, "usual.mkv")
    own = (TrackStrength(2, 0.0), TrackStrength(99, 0.5))
    record = film.with_name("own.jsonl")
    target = film.with_name("own.mkv")
    settings = RestoreSettings(
        codec="ffv1", device="cpu", precision="fp32", track_strengths=own, record=record,
        verify=True,
    )  # fmt: skip
    report = restore_video(film, target, settings=settings)

    assert "--track-strength: the film has no track 99" in report.notes
    with RecordReader(record) as reader:
        strengths = {face.track: face.strength for frame in reader for face in frame.faces}
    assert strengths[2] == 0.0 < min(value for track, value in strengths.items() if track != 2)
    for before, usual, after in zip(
        halves(film), halves(film.with_name("usual.mkv")), halves(target), strict=True
    ):
        same_as_source = [bool((old == new).all()) for old, new in zip(before, after, strict=True)]
        assert sorted(same_as_source) == [False, True]
        side = same_as_source.index(False)
        np.testing.assert_array_equal(after[side], usual[side])
