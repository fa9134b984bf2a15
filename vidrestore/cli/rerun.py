"""The command that restores one track of a film again with the settings of an earlier run."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

from vidrestore.cli.options import OPTION_OF_SETTING
from vidrestore.cli.restore import RestoreCommand
from vidrestore.pipeline import RestoreSettings
from vidrestore.pipeline.record_lines import plain_settings
from vidrestore.record.schema import JsonScalar

OF_ONE_RUN = frozenset({"only_tracks", "compare", "record", "framemd5", "overwrite"})
"""Settings that choose the files a run writes, or the tracks it restores."""
_TIMES = ("start_seconds", "end_seconds")
_TIME_DIGITS = 12


def rerun_command(
    settings: Mapping[str, JsonScalar], source: Path, result: Path
) -> Callable[[int], list[str]]:
    """Return a function that maps a track number to the command's arguments.

    Args:
        settings: Settings from a record; those unknown to this version are left out.
        source: The film to restore.
        result: Output of the earlier run; the new output is a file beside it.
    """
    words = _option_words(settings)

    def command(track: int) -> list[str]:
        alone = result.with_name(f"{result.stem}.track{track}{result.suffix}")
        files = ["vidrestore", _as_file(source), "-o", _as_file(alone)]
        return [*files, *words, "--only-track", str(track)]

    return command


def _option_words(settings: Mapping[str, JsonScalar]) -> list[str]:
    """Return the options for those of ``settings`` that are not the defaults."""
    options = {field.name for field in fields(RestoreCommand)}
    words: list[str] = []
    for name, default in plain_settings(RestoreSettings()).items():
        value = settings.get(name, default)
        option = OPTION_OF_SETTING.get(name, name)
        if value == default or value is None or name in OF_ONE_RUN or option not in options:
            continue
        flag = "--" + option.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            text = _decimal(value) if name in _TIMES else str(value)
            # As one argument, so that no value is mistaken for an option.
            words.append(f"{flag}={text}")
    return words


def _decimal(seconds: JsonScalar) -> str:
    try:
        text = f"{float(Fraction(str(seconds))):.{_TIME_DIGITS}f}"
    except (ValueError, ZeroDivisionError, OverflowError):
        return str(seconds)
    return text.rstrip("0").rstrip(".")


def _as_file(path: Path) -> str:
    """Return a path that is not mistaken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)
