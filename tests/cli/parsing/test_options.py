"""Options made from the settings: they reach them, and the help groups them."""

import re
from pathlib import Path

import pytest

from vidrestore import JobSettings, RestoreSettings
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode, UsageError
from vidrestore.cli.parsing.options import background_for, name_or_file
from vidrestore.cli.restore import RestoreCommand, parse_restore
from vidrestore.settings import GROUPS, settings_of

CLASSES = (RestoreCommand, RestoreSettings, JobSettings)


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the help: heading of a group -> its text."""
    assert main([*words, "--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    parts = re.split(r"^([A-Z][\w ]+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options_in(text: str) -> list[str]:
    return re.findall(r"^  (?:-\w \S+, )?(--[\w-]+)", text, flags=re.MULTILINE)


def test_help_lists_every_option_once_by_group_with_the_most_used_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    groups = help_of(capsys=capsys)
    settings = [setting for owner in CLASSES for setting in settings_of(owner)]

    assert list(groups) == ["Most used", *GROUPS]
    most_used = options_in(groups["Most used"])
    assert most_used == [
        "--output",
        "--profile",
        "--model",
        "--detail",
        "--background",
        "--codec",
        "--resume",
    ]
    for name in GROUPS:
        expected = {setting.flag for setting in settings if setting.option.group == name}
        assert {*options_in(groups[name])} == expected - {*most_used, "--source"}


def test_the_help_of_a_batch_has_no_options_for_a_single_film(
    capsys: pytest.CaptureFixture[str],
) -> None:
    groups = help_of("batch", capsys=capsys)
    named = [option for text in groups.values() for option in options_in(text)]

    assert len(options_in(groups["Most used"])) == 7
    assert len(named) == len({*named})
    assert not {"--only-track", "--resume", "--dry-run", "--review"} & {*named}


def test_the_help_explains_automatic_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(" ".join(help_of(capsys=capsys).values()).split())

    assert "(default: chosen for the device)" in text
    assert "(default: 24)" in text
    assert "longer side" in text
    assert "None" not in text


def test_no_options_give_the_defaults_of_every_settings_class() -> None:
    command, arguments = parse_restore(["film.mkv", "-o", "out.mkv"])

    assert command == RestoreCommand(source=Path("film.mkv"), output=Path("out.mkv"))
    assert arguments.restore_settings() == RestoreSettings()
    assert arguments.job == JobSettings()


def test_job_options_reach_the_job_settings() -> None:
    words = "film.mkv -o out.mkv --resume --segment 2.5 --engine ray --workers 3"
    _, arguments = parse_restore(words.split())

    expected = JobSettings(resume=True, segment_seconds=2.5, engine="ray", workers=3)
    assert arguments.job == expected


@pytest.mark.parametrize(
    "words", ["--workers 2", "--scale 2", "--start 5 --end 4", "--pulldown --deinterlace field"]
)
def test_conflicting_options_are_usage_errors(words: str) -> None:
    with pytest.raises(UsageError):
        parse_restore(["film.mkv", "-o", "out.mkv", *words.split()])


@pytest.mark.parametrize(
    ("text", "background"),
    [
        ("realesrgan", "realesrgan"),
        ("x2.pth", Path("x2.pth")),
        ("realesgan", "realesgan"),
    ],
)
def test_a_background_is_a_name_or_a_file(text: str, background: str | Path) -> None:
    assert name_or_file(text) == background


def test_background_on_a_cpu_defaults_to_the_small_network() -> None:
    assert background_for("cpu") == "compact"


def test_a_background_may_be_a_file_without_suffix_but_names_take_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "compact"):
        (tmp_path / name).write_bytes(b"")

    assert name_or_file("mine") == Path("mine")
    assert name_or_file("compact") == "compact"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--strength", "2"], r"--strength: must be a number from 0 to 1, got '2'"),
        (["--scale", "3"], r"--scale: must be one of 1, 2, 4, got '3'"),
        (["--profile", "best"], r"--profile: must be one of archive, watch, sharp, got 'best'"),
        (["--crf", "99"], r"error: --crf of h264 must be 0 to 51, got 99"),
        (["--device", "gpu"], r"error: --device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["--only-track", "0"], r"error: --only-track must be numbers from 1 on"),
        (["--track-strength", "1=0,1=1"], r"error: --track-strength names track 1 twice"),
        (["--workers", "2"], r"error: --workers requires the engine ray"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    assert main(["no-such-film.mp4", "-o", "out.mp4", *words]) == ExitCode.USAGE
    assert re.search(said, capsys.readouterr().err)
