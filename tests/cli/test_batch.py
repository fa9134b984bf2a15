"""``vidrestore batch``: its table, its JSON, its lines, and its exit code."""

import io
import json
from pathlib import Path

import pytest
from support.clips import Clip, make_clip

from vidrestore.cli import main
from vidrestore.cli.display.batch_progress import BarBatch, LogBatch
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.jobs.batch import BatchProgress
from vidrestore.jobs.batch_videos import BatchVideo
from vidrestore.progress import Progress

FILM = BatchVideo(source=Path("in/reel.mkv"), output=Path("out/reel.mkv"))


def batch_progress(frames: int, *, workers: int | None = None, done: int = 0) -> BatchProgress:
    return BatchProgress(
        number=0,
        film=FILM,
        films_done=done,
        films_total=3,
        progress=Progress(
            stage="restoring",
            frames_done=frames,
            frames_total=900,
            faces_done=2 * frames,
            workers=workers,
            frames_searched=None if workers is None else 400,
        ),
    )


FINISHED = BatchProgress(number=0, film=FILM, films_done=1, films_total=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    make_clip(folder / "good.mkv", Clip(ticks=tuple(range(6))))
    (folder / "broken.mkv").write_text("no film")
    return folder


def test_a_batch_prints_a_table_and_fails_if_a_film_failed(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["batch", str(folder), "-o", str(tmp_path / "out"), "--codec", "ffv1"]
    arguments += ["--device", "cpu", "--record"]

    assert main(arguments) == ExitCode.FAILED

    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["film", "frames", "faces", "segments", "time", "result"]
    assert lines[1].split() == ["broken.mkv", "0:00", "failed"]
    assert lines[2].split()[:4] == ["good.mkv", "6", "0", "1"]
    assert lines[2].split()[-1] == "restored"
    assert lines[3].startswith(f"error: {folder / 'broken.mkv'}: ")
    assert lines[4:] == ["1 restored; 1 failed"]
    assert "1 of 2 films: broken.mkv: failed" in err
    assert "2 of 2 films: good.mkv: restored" in err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.jsonl", "good.mkv"]

    (folder / "broken.mkv").unlink()
    assert main([*arguments, "--json", "--quiet"]) == ExitCode.OK

    out, err = capfd.readouterr()
    (result,) = json.loads(out)
    assert (result["result"], result["frames"], result["error"]) == ("already there", None, None)
    assert err == ""


def test_a_batch_that_cannot_start_is_a_one_line_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", str(tmp_path), "-o", str(tmp_path / "out")]) == ExitCode.FAILED
    assert (
        capfd.readouterr().err
        == f"error: {tmp_path}: contains no film; name a folder or a list of films\n"
    )


def test_without_a_terminal_progress_lines_name_the_film() -> None:
    seconds, stream = [0.0], io.StringIO()
    display = LogBatch(stream, lambda: seconds[0])
    display.show(batch_progress(1, workers=2))
    seconds[0] = 10.0
    display.show(batch_progress(101, workers=2))
    display.show(FINISHED)

    assert stream.getvalue().splitlines() == [
        "reel.mkv: restoring: 101 of 900 frames, 10.0 frames/s, 1:20 left, 202 faces, 2 workers, "
        "400 frames searched",
        "1 of 3 films: reel.mkv: done",
    ]


def test_a_terminal_shows_a_bar_for_all_films_and_one_per_running_film() -> None:
    display = BarBatch(3)
    display.show(batch_progress(30, workers=1))
    descriptions = [task.description for task in display.tasks]
    assert descriptions == ["films", "reel.mkv"]
    assert display.tasks[1].completed == 30
    message = "restoring, 30 of 900 frames, 60 faces, 1 worker, 400 frames searched"
    assert display.tasks[1].fields["text"] == message
    display.show(FINISHED)
    assert [task.description for task in display.tasks] == ["films"]
    assert display.tasks[0].completed == 1
