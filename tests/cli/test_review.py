"""``vidrestore review``, ``--review``, and the command on the page that restores one track."""

import shlex
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import Clip, make_clip
from support.faceclips import FACE_SIZE_HW, face_picture
from support.reviews import ReviewFiles, data_of, review_files

from vidrestore import RestoreSettings
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode
from vidrestore.cli.rerun import rerun_command
from vidrestore.cli.restore import parse_restore
from vidrestore.pipeline.record_lines import plain_settings
from vidrestore.record import RecordReader
from vidrestore.settings import parse_track_strengths, settings_of


def review_arguments(files: ReviewFiles, *more: str) -> list[str]:
    named = [str(files.source), str(files.result), "--record", str(files.record)]
    return ["review", *named, "-o", str(files.page), *more]


def test_review_writes_a_page_from_source_result_and_record(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = review_files(tmp_path)

    assert main(review_arguments(files)) == ExitCode.OK
    assert f"{files.page}: review" in capfd.readouterr().err
    command = shlex.split(data_of(files.page)["tracks"][0]["command"])
    assert command[:4] == [
        "vidrestore",
        str(files.source),
        "-o",
        str(tmp_path / "result.track1.mkv"),
    ]
    assert command[-2:] == ["--only-track", "1"]


def test_an_existing_page_is_replaced_only_on_request(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = review_files(tmp_path)
    files.page.write_text("something of the user's")

    assert main(review_arguments(files)) == ExitCode.FAILED
    assert capfd.readouterr().err.startswith(f"error: -o {files.page}: already exists")
    assert files.page.read_text() == "something of the user's"
    assert main(review_arguments(files, "--overwrite", "--quiet")) == ExitCode.OK
    assert capfd.readouterr().err == ""
    assert data_of(files.page)["tracks"]


@pytest.mark.parametrize("name", ["source.mkv", "result.mkv", "record.jsonl"])
def test_the_page_never_overwrites_source_result_or_record(tmp_path: Path, name: str) -> None:
    files = review_files(tmp_path)
    before = (tmp_path / name).read_bytes()

    page = ReviewFiles(files.source, files.result, files.record, tmp_path / name)
    assert main(review_arguments(page, "--overwrite")) == ExitCode.FAILED
    assert (tmp_path / name).read_bytes() == before


def test_an_invalid_record_is_a_one_line_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = review_files(tmp_path)
    files.record.write_text("{}\n")

    assert main(review_arguments(files)) == ExitCode.FAILED
    error = capfd.readouterr().err
    assert error.startswith(f"error: {files.record}: line 1")
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    clip = Clip(size_hw=FACE_SIZE_HW, ticks=tuple(range(4)), picture=face_picture)
    return make_clip(folder / "a film.mkv", clip)


def run_restore(film: Path, folder: Path, *more: str) -> ExitCode:
    arguments = [str(film), "-o", str(folder / "out.mkv"), "--codec", "ffv1", "--device", "cpu"]
    return main([*arguments, "--precision", "fp32", "--quiet", *more])


def test_a_run_writes_its_review_and_removes_the_temporary_record(
    film: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    # Left by a run that was killed.
    (tmp_path / ".page.html.record.jsonl").write_text("{")

    assert run_restore(film, tmp_path, "--review", str(page)) == ExitCode.OK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "page.html"]
    (track,) = data_of(page)["tracks"]
    assert track["frames"] == 4
    assert track["shown"]
    # The page's command is one that this program takes, and asks for what was asked for.
    words = shlex.split(track["command"])
    command, arguments = parse_restore(words[1:])
    assert command.source == film
    assert arguments.restore_settings().only_tracks == (track["number"],)
    assert arguments.typed.codec == "ffv1"


def test_a_requested_record_is_kept_with_the_review(film: Path, tmp_path: Path) -> None:
    record = tmp_path / "kept.jsonl"
    more = ("--review", str(tmp_path / "page.html"), "--record", str(record))

    assert run_restore(film, tmp_path, *more) == ExitCode.OK
    with RecordReader(record) as reader:
        assert len(list(reader)) == 4


def test_a_missing_track_is_refused_with_the_existing_ones(
    film: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_restore(film, tmp_path, "--only-track", "77") == ExitCode.FAILED

    assert "has no track 77, its only track is 1" in capfd.readouterr().err
    assert not (tmp_path / "out.mkv").exists()


def test_a_missing_track_is_refused_before_restoring(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a face was restored")

    monkeypatch.setattr("vidrestore.pipeline.stages.Stages.restore", never)
    assert run_restore(film, tmp_path, "--only-track", "77") == ExitCode.FAILED


@pytest.mark.parametrize("name", ["absent/page.html", ".", "there.html"])
def test_an_unwritable_review_is_refused_before_restoring(
    film: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.html").write_text("something of the user's")

    assert run_restore(film, tmp_path, "--review", str(tmp_path / name)) == ExitCode.FAILED
    assert capfd.readouterr().err.startswith("error: --review ")
    assert not (tmp_path / "out.mkv").exists()


def test_the_command_for_a_track_repeats_the_settings_of_the_run() -> None:
    settings = RestoreSettings(
        model="a net.pth",
        strength=0.75,
        faces="largest",
        min_face_px=31.5,
        start_seconds=Fraction(5, 8),
        end_seconds=Fraction(7201, 20),
        codec="h265",
        crf=7.5,
        batch_size=3,
        fps=Fraction(24_000, 1001),
        drop_unsupported=True,
        only_tracks=(3, 9),
        overwrite=True,
        record=Path("r.jsonl"),
        compare=Path("side.mkv"),
    )

    words = rerun_command(plain_settings(settings), Path("-a film.mkv"), Path("out.mkv"))(12)
    command, arguments = parse_restore(words[1:])
    result = arguments.restore_settings()
    assert (command.source, command.output) == (Path("-a film.mkv"), Path("out.track12.mkv"))
    assert (result.record, result.compare, result.overwrite) == (None, None, False)
    kept = plain_settings(settings) | {
        "only_tracks": "12", "record": None, "compare": None, "overwrite": False,
    }  # fmt: skip
    assert plain_settings(result) == kept


def test_a_project_file_does_not_change_the_command_for_a_track(tmp_path: Path) -> None:
    (tmp_path / "vidrestore.toml").write_text('profile = "archive"\nstrength = 0.5')

    words = rerun_command(plain_settings(RestoreSettings()), tmp_path / "a.mkv", Path("b.mkv"))(1)

    _, arguments = parse_restore(words[1:])
    assert arguments.typed == RestoreSettings(only_tracks=(1,))


def test_the_command_for_a_track_overwrites_no_file_of_the_run() -> None:
    files = {setting.name for setting in settings_of(RestoreSettings) if setting.type is Path}
    settings = {name: f"{name}.file" for name in files} | {"overwrite": True}

    arguments = rerun_command(settings, Path("a.mkv"), Path("b.mkv"))(1)

    assert files == {"compare", "record", "framemd5"}
    assert arguments == ["vidrestore", "a.mkv", "-o", "b.track1.mkv", "--only-track", "1"]


def test_settings_this_version_does_not_know_are_left_out_of_the_command() -> None:
    arguments = rerun_command({"sparkle": 3, "strength": 0.5}, Path("a.mkv"), Path("b"))(1)

    assert arguments == [
        "vidrestore",
        "a.mkv",
        "-o",
        "b.track1",
        "--strength=0.5",
        "--only-track",
        "1",
    ]


def test_the_command_for_a_film_can_set_new_track_strengths() -> None:
    settings = RestoreSettings(
        strength=0.75, only_tracks=(1, 2), track_strengths=parse_track_strengths("1=0.5")
    )

    words = rerun_command(plain_settings(settings), Path("a.mkv"), Path("b.mkv"))(None)
    _, arguments = parse_restore([*words[1:], "--track-strength=1=0.25,2=0"])

    assert words[:4] == ["vidrestore", "a.mkv", "-o", "b.again.mkv"]
    strengths = parse_track_strengths("1=0.25,2=0")
    assert arguments.restore_settings() == replace(settings, track_strengths=strengths)
