"""The films of a batch, from a folder or a list, and the paths of their results."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.media.file_kinds import is_image_name
from vidrestore.media.input.probe import why_not_film
from vidrestore.media.output.containers import CONTAINERS

_READ_ONLY = (".wmv", ".asf", ".flv", ".vob", ".mpg", ".mpeg", ".m2v", ".dv", ".ogv", ".3gp", ".rm")
"""Suffixes of films that can be read but not written: the result has another container. Files of
other suffixes are opened to see whether they are films."""
_HOLDS_ALL = ".mkv"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchVideo:
    """One film of a batch."""

    source: Path
    output: Path
    compare: Path | None = None
    record: Path | None = None
    framemd5: Path | None = None
    report: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The files to write for each film, and their container."""

    ending: str | None = None
    """Suffix of all results, as ``.mkv``; None keeps the source's if it can be written."""
    compare: bool = False
    record: bool = False
    framemd5: bool = False
    report: bool = False

    def __post_init__(self) -> None:
        if self.ending is not None and self.ending not in CONTAINERS:
            known = ", ".join(CONTAINERS)
            raise ConfigError(f"ending must be one of {known}, got {self.ending!r}")


def _not_shown(path: Path, reason: str) -> None:
    del path, reason


def batch_films(
    where: Path,
    results: Path,
    wanted: Wanted,
    *,
    on_skipped: Callable[[Path, str], None] = _not_shown,
) -> tuple[BatchVideo, ...]:
    """Return the films of a batch.

    Args:
        where: A folder of films and of folders of pictures, or a list: a text file with a path on
            each line, relative to the list; lines that begin with ``#`` are comments.
        results: A folder, which need not exist.
        wanted: The files to write for each film.
        on_skipped: Called for everything in the folder that is no film, with the reason.

    Raises:
        ConfigError: There is no film, or two results would have the same path.
    """
    sources = tuple(_of_folder(where, on_skipped) if where.is_dir() else _of_list(where))
    if not sources:
        raise ConfigError(f"{where}: contains no film; name a folder or a list of films")
    if results.exists() and not results.is_dir():
        raise ConfigError(f"-o {results}: is a file; name a folder for the results")
    films = tuple(_film(source, results, wanted) for source in sources)
    _check_names(films)
    return films


def _of_folder(folder: Path, on_skipped: Callable[[Path, str], None]) -> Iterator[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in inside:
        if path.is_dir():
            if _holds_pictures(path):
                yield path
            else:
                on_skipped(path, "a folder without images")
        elif (
            path.suffix.lower() in (*CONTAINERS, *_READ_ONLY)
            or (reason := why_not_film(path)) is None
        ):
            yield path
        else:
            on_skipped(path, reason)


def _holds_pictures(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image_name(Path(entry.name)) for entry in entries)


def _of_list(path: Path) -> Iterator[Path]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such folder or list; check the name") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: is not a list of films; name a text file with a path on each line"
        ) from error
    for line in lines:
        name = line.strip()
        if name and not name.startswith("#"):
            yield path.parent / Path(name).expanduser()


def _film(source: Path, results: Path, wanted: Wanted) -> BatchVideo:
    named = Path(source.absolute().name)
    output = results / named
    stem = named.name
    if not source.is_dir() and not is_image_name(source):
        suffix = named.suffix.lower()
        ending = wanted.ending or (named.suffix if suffix in CONTAINERS else _HOLDS_ALL)
        output, stem = output.with_suffix(ending), named.stem

    def beside(name: str, *, asked: bool) -> Path | None:
        return results / f"{stem}.{name}" if asked else None

    moving = not is_image_name(source)
    return BatchVideo(
        source=source,
        output=output,
        compare=beside("compare.mkv", asked=wanted.compare and moving),
        record=beside("jsonl", asked=wanted.record),
        framemd5=beside("framemd5", asked=wanted.framemd5 and output.suffix in CONTAINERS),
        report=beside("json", asked=wanted.report),
    )


def _check_names(films: Iterable[BatchVideo]) -> None:
    taken: dict[Path, BatchVideo] = {}
    for film in films:
        if film.output.absolute() == film.source.absolute():
            raise ConfigError(
                f"{film.source}: the result would replace the source; name another folder with -o"
            )
        for path in (film.output, film.compare, film.record, film.framemd5, film.report):
            if path is None:
                continue
            # Some file systems ignore the case of names.
            place = Path(str(path.absolute()).casefold())
            other = taken.setdefault(place, film)
            if other is not film:
                raise ConfigError(
                    f"{other.source} and {film.source}: both results would be {path}; rename one, "
                    "or restore them into two folders"
                )
