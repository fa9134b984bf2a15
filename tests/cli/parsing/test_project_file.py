"""``vidrestore.toml``: found, read, checked, and below the command line."""

from pathlib import Path

import pytest

from vidrestore import RestoreSettings
from vidrestore.cli import main
from vidrestore.cli.exit_codes import ExitCode, UsageError
from vidrestore.cli.parsing.options import Arguments
from vidrestore.cli.restore import parse_restore


def write(folder: Path, text: str, name: str = "vidrestore.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def parse_arguments(words: str) -> Arguments:
    return parse_restore(words.split())[1]


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of films below the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    return Path("films")


def test_command_line_overrides_project_file_and_project_file_overrides_profile(
    films: Path,
) -> None:
    write(films, 'profile = "archive"\nstrength = 0.5\ngrain = 0.5\ncodec = "prores"')

    settings = parse_arguments("films/a.mkv -o b.mkv --grain 1").typed

    assert (settings.grain, settings.strength) == (1.0, 0.5)  # typed as the default is typed, too
    assert (settings.codec, settings.detail, settings.verify) == ("prores", 0.0, True)
    assert settings.steady == RestoreSettings().steady


def test_a_profile_on_the_command_line_replaces_the_one_in_the_file(films: Path) -> None:
    write(films, 'profile = "archive"')

    settings = parse_arguments("films/a.mkv -o b.mkv --profile sharp").typed

    assert (settings.detail, settings.codec, settings.verify) == (1.0, "h264", False)


def test_a_switch_set_by_a_profile_can_be_turned_off(films: Path) -> None:
    del films
    settings = parse_arguments("a.mkv -o b.mkv --profile archive --no-verify").typed

    assert (settings.verify, settings.codec) == (False, "ffv1")


def test_the_webm_default_does_not_replace_the_codec_of_a_profile(films: Path) -> None:
    del films
    assert parse_arguments("a.mkv -o b.webm --profile archive").typed.codec == "ffv1"
    assert parse_arguments("a.mkv -o b.webm --profile sharp").typed.codec == "av1"


def test_the_project_file_next_to_the_source_wins_over_the_one_in_the_working_folder(
    films: Path,
) -> None:
    working_folder = write(Path(), "strength = 0.1")
    assert parse_arguments("films/a.mkv -o b.mkv").project_file == working_folder
    beside = write(films, "strength = 0.2")
    assert parse_arguments("films/a.mkv -o b.mkv").project_file == beside
    write(Path(), "strength = 0.3", "other.toml")

    assert parse_arguments("films/a.mkv -o b.mkv").typed.strength == 0.2
    assert parse_arguments("films/a.mkv -o b.mkv --config other.toml").typed.strength == 0.3
    assert parse_arguments("films/a.mkv -o b.mkv --config none").typed.strength == 1.0


def test_paths_are_relative_to_the_project_file_and_model_names_are_not_paths(films: Path) -> None:
    write(films, 'model = "mine.pth"\nbackground = "compact"')
    (films / "mine.pth").write_bytes(b"")

    settings = parse_arguments("films/a.mkv -o b.mkv").typed

    assert (settings.model, settings.background) == (str(films / "mine.pth"), "compact")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("strenght = 1", "strenght: unknown option; did you mean strength?"),
        ("min_face = 9", "min_face: unknown option; did you mean min-face?"),
        ("xyz = 9", "xyz: unknown option; vidrestore --help lists them"),
        ("strength = 2", "strength: must be a number from 0 to 1, got '2'"),
        ("strength = true", "strength: must be a number from 0 to 1, got 'True'"),
        (
            'codec = "divx"',
            "codec: must be one of h264, h265, av1, ffv1, prores, dnxhr, got 'divx'",
        ),
        ("codec = []", "codec: must be one of h264, h265, av1, ffv1, prores, dnxhr, got []"),
        ('profile = "best"', "profile: must be one of archive, watch, sharp, got 'best'"),
        ("pulldown = 1", "pulldown: must be true or false, got 1"),
        ("model = 1", "model: must be text, got 1"),
        ('start = "soon"', "start: 'soon' is not a time"),
        ("[start]", "start: '{}' is not a time"),
        (
            'record = "r.jsonl"',
            "record: must not be in a project file; give --record on the command line",
        ),
        ("overwrite = true", "overwrite: must not be in a project file"),
        ("= 1", "not a readable TOML file"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_file_and_key(
    films: Path, line: str, message: str
) -> None:
    path = write(films, line)
    with pytest.raises(UsageError) as refused:
        parse_arguments("films/a.mkv -o b.mkv")

    assert str(refused.value).startswith(f"{path}: {message}")


def test_a_project_file_named_on_the_command_line_must_exist(films: Path) -> None:
    del films
    with pytest.raises(UsageError, match=r"gone\.toml: not a readable TOML file"):
        parse_arguments("a.mkv -o b.mkv --config gone.toml")


def test_a_batch_reads_the_project_file_in_its_folder(
    films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(films, "strength = 2")

    assert main(["batch", "films", "-o", "out"]) == ExitCode.USAGE
    assert "films/vidrestore.toml: strength: must be" in capsys.readouterr().err
