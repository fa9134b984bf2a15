import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.fake_restorer import load_fake_restorer
from support.frames import YUV420, random_frame

from vidrestore.cli import main
from vidrestore.cli.display.progress_file import ProgressFile
from vidrestore.pipeline import setup
from vidrestore.progress import LatestFrame, Progress, Stage
from vidrestore.types import DisplayGeometry


class Shown:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.count = 0

    def show(self, progress: Progress) -> None:
        self.count += 1

    def show_download(self, name: str, bytes_here: int, bytes_total: int | None) -> None:
        self.count += 1


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def progress(frames: int, stage: Stage = "restoring", **more: Any) -> Progress:
    return Progress(stage=stage, frames_done=frames, frames_total=100, faces_done=7, **more)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_progress_file_has_progress_and_speed(tmp_path: Path) -> None:
    path, clock, shown = tmp_path / "progress.json", Clock(), Shown()
    display = ProgressFile(path, shown, clock)
    for frame in range(1, 11):
        clock.seconds = frame / 2
        display.show(progress(frame))

    values = read(path)
    assert (values["stage"], values["frames_done"], values["frames_total"]) == (
        "restoring",
        10,
        100,
    )
    assert values["frames_per_second"] == pytest.approx(2)
    assert values["seconds_left"] == pytest.approx(45)
    assert shown.count == 10


def test_the_progress_file_is_written_at_each_stage_and_at_most_twice_a_second(
    tmp_path: Path,
) -> None:
    path, clock = tmp_path / "progress.json", Clock()
    display = ProgressFile(path, Shown(), clock)
    for frame in range(1, 5):
        clock.seconds = frame / 10
        display.show(progress(frame))
    assert read(path)["frames_done"] == 1

    display.show(progress(5, "finishing"))
    assert read(path)["stage"] == "finishing"
    display.show_download("net", 3, None)
    assert read(path) == {
        "stage": "downloading",
        "name": "net",
        "bytes_done": 3,
        "bytes_total": None,
    }


def test_the_latest_frame_is_a_small_image_as_displayed(tmp_path: Path) -> None:
    frame = random_frame(YUV420, (1080, 1440), smooth=True)
    geometry = DisplayGeometry(coded_hw=(1080, 1440), quarter_turns=1)
    latest = LatestFrame(frame=frame, geometry=geometry)

    display = ProgressFile(tmp_path / "progress.json", Shown(), Clock())
    display.show(progress(1, latest=latest))

    image = cv2.imread(str(tmp_path / "progress.jpg"))
    assert image is not None
    assert image.shape == (960, 720, 3)


def test_a_deleted_folder_does_not_stop_the_run(tmp_path: Path) -> None:
    shown = Shown()
    ProgressFile(tmp_path / "gone" / "progress.json", shown, Clock()).show(progress(1))

    assert shown.count == 1


def test_a_run_writes_its_progress_and_latest_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "load_restorer", load_fake_restorer)
    film = make_clip(
        tmp_path / "film.mkv", Clip(ticks=range(3), size_hw=FACE_SIZE_HW, picture=face_picture)
    )
    path = tmp_path / "progress.json"
    arguments = [str(film), "-o", str(tmp_path / "out.mkv"), "--progress", str(path), "--quiet"]

    assert main(arguments) == 0

    assert read(path)["stage"] == "finishing"
    assert read(path)["frames_done"] == 3
    image = cv2.imread(str(path.with_suffix(".jpg")))
    assert image is not None
    assert image.shape[:2] == FACE_SIZE_HW


def test_a_progress_file_with_the_path_of_another_output_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_clip(tmp_path / "film.mkv", Clip(ticks=range(2)))
    arguments = [str(film), "-o", str(tmp_path / "out.mkv"), "--progress", str(film)]

    assert main(arguments) == 1
    assert "--progress" in capsys.readouterr().err
