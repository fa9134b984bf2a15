"""``vidrestore.toml``: default options of a project."""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vidrestore.cli.exit_codes import UsageError
from vidrestore.settings import Setting, value_reader

FILE_NAME = "vidrestore.toml"
NO_FILE = Path("none")
"""Value of ``--config`` that disables project files."""


def find_project_file(source: Path) -> Path | None:
    """Return the project file of the source's folder, or else of the working folder.

    Args:
        source: A film, an image, or a folder of films or images; a folder is searched itself.
    """
    folders = [source] if source.is_dir() else []
    for folder in (*folders, source.parent, Path()):
        path = folder / FILE_NAME
        if path.is_file():
            return path
    return None


def read_project_file(path: Path, settings: Iterable[Setting]) -> dict[str, Any]:
    """Return the values of a project file by the names of their settings.

    Args:
        path: The file. Its keys are the options of the command, without dashes; the files that it
            names are relative to its folder.
        settings: The settings of the command.

    Raises:
        UsageError: The file cannot be read, a key is unknown or belongs on the command line, or a
            value is out of range.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: not a readable TOML file: {error}") from error
    by_key = {setting.flag.removeprefix("--"): setting for setting in settings}
    allowed = [key for key, setting in by_key.items() if not setting.option.per_run]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in allowed:
            raise UsageError(f"{path}: {key}: {_why_refused(key, key in by_key, allowed)}")
        setting = by_key[key]
        try:
            values[setting.name] = _value(setting, value, path.parent)
        except ValueError as error:
            raise UsageError(f"{path}: {key}: {error}") from error
    return values


def _why_refused(key: str, is_option: bool, allowed: list[str]) -> str:
    if is_option:
        return f"must not be in a project file; give --{key} on the command line"
    near = get_close_matches(key.replace("_", "-"), allowed, n=1)
    return (
        f"unknown option; did you mean {near[0]}?"
        if near
        else "unknown option; vidrestore --help lists them"
    )


def _value(setting: Setting, value: object, folder: Path) -> object:
    """Convert a value of a project file to the type of its setting.

    Raises:
        ValueError: It is of the wrong type, or out of range.
    """
    if setting.type is bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, got {value!r}")
        return value
    if (reader := value_reader(setting)) is not None:
        return reader(str(value))
    if setting.choices:
        if value not in setting.choices:
            raise ValueError(f"must be {setting.range_text}, got {value!r}")
        return value
    if not isinstance(value, str):
        raise ValueError(f"must be text, got {value!r}")
    file = folder / value
    return str(file) if "FILE" in setting.metavar and file.is_file() else value
