"""The commands that restore a film, or one track, again with the settings of an earlier run."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from vidrestore.cli.parsing.project_file import NO_FILE, find_project_file
from vidrestore.pipeline.record_lines import plain_settings
from vidrestore.record.schema import JsonScalar
from vidrestore.settings import RestoreSettings, settings_of

_ONLY_TRACKS, _TRACK_STRENGTHS = "only_tracks", "track_strengths"
_TIME_DIGITS = 12


def rerun_command(
    settings: Mapping[str, JsonScalar], source: Path, result: Path
) -> Callable[[int | None], list[str]]:
    """Return a function that maps a track number to the command's arguments.

    None stands for the whole film, without strengths of tracks, which can be appended.

    Args:
        settings: Settings from a record; those unknown to this version are ignored.
        source: The film to restore.
        result: Output of the earlier run; the new output is a file next to it.
    """
    of_track = _option_words(settings, without=_ONLY_TRACKS)
    of_film = _option_words(settings, without=_TRACK_STRENGTHS)
    if find_project_file(source) is not None:
        # The options repeat all settings of the earlier run, also those of its project file.
        for words in (of_track, of_film):
            words.append(f"--config={NO_FILE}")

    def command(track: int | None) -> list[str]:
        name = "again" if track is None else f"track{track}"
        output = result.with_name(f"{result.stem}.{name}{result.suffix}")
        files = ["vidrestore", _path_argument(source), "-o", _path_argument(output)]
        if track is None:
            return [*files, *of_film]
        return [*files, *of_track, "--only-track", str(track)]

    return command


def _option_words(settings: Mapping[str, JsonScalar], *, without: str) -> list[str]:
    """Return the options for all of ``settings`` that differ from the defaults.

    Sidecar files and the selection of tracks are left out.
    """
    defaults = plain_settings(RestoreSettings())
    words: list[str] = []
    for setting in settings_of(RestoreSettings):
        value = settings.get(setting.name)
        is_default = value is None or value == defaults[setting.name]
        if is_default or setting.option.affects != "bytes" or setting.name == without:
            continue
        if setting.type is bool:
            words.append(setting.flag)
        else:
            text = _decimal(value) if setting.option.metavar == "TIME" else str(value)
            # As one argument, so that no value is mistaken for an option.
            words.append(f"{setting.flag}={text}")
    return words


def _decimal(seconds: JsonScalar) -> str:
    try:
        text = f"{float(Fraction(str(seconds))):.{_TIME_DIGITS}f}"
    except (ValueError, ZeroDivisionError, OverflowError):
        return str(seconds)
    return text.rstrip("0").rstrip(".")


def _path_argument(path: Path) -> str:
    """Return a path as an argument that is not mistaken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)
