"""The films of a batch, from a folder or a list, and the paths of their outputs."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidrestore.errors import ConfigError
from vidrestore.media.file_kinds import is_image_name
from vidrestore.media.input.probe import why_not_video
from vidrestore.media.output.containers import CONTAINERS

_READ_ONLY = (".wmv", ".asf", ".flv", ".vob", ".mpg", ".mpeg", ".m2v", ".dv", ".ogv", ".3gp", ".rm")
"""Suffixes of films that can be read but not written: the result has another container. Files of
other suffixes are opened to see whether they are films."""
_FALLBACK_SUFFIX = ".mkv"


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
class Sidecars:
    """The files to write for each film, and their container."""

    suffix: str | None = None
    """Suffix of all results, as ``.mkv``; None keeps the source's if it can be written."""
    compare: bool = False
    record: bool = False
    framemd5: bool = False
    report: bool = False

    def __post_init__(self) -> None:
        if self.suffix is not None and self.suffix not in CONTAINERS:
            known = ", ".join(CONTAINERS)
            raise ConfigError(f"ending must be one of {known}, got {self.suffix!r}")


def batch_films(
    where: Path,
    results: Path,
    sidecars: Sidecars,
    *,
    on_skipped: Callable[[Path, str], None] = lambda _path, _reason: None,
) -> tuple[BatchVideo, ...]:
    """Return the films of a batch.

    Args:
        where: A folder of films and of folders of pictures, or a list: a text file with a path on
            each line, relative to the list; lines that begin with ``#`` are comments.
        results: A folder, which need not exist.
        sidecars: The files to write for each film.
        on_skipped: Called for everything in the folder that is no film, with the reason.

    Raises:
        ConfigError: There is no film, or two results would have the same path.
    """
    sources = tuple(_list_folder(where, on_skipped) if where.is_dir() else _read_list(where))
    if not sources:
        raise ConfigError(f"{where}: contains no film; name a folder or a list of films")
    if results.exists() and not results.is_dir():
        raise ConfigError(f"-o {results}: is a file; name a folder for the results")
    films = tuple(_batch_video(source, results, sidecars) for source in sources)
    _check_names(films)
    return films


def _list_folder(folder: Path, on_skipped: Callable[[Path, str], None]) -> Iterator[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in inside:
        if path.is_dir():
            if _holds_images(path):
                yield path
            else:
                on_skipped(path, "a folder without images")
        elif (
            path.suffix.lower() in (*CONTAINERS, *_READ_ONLY)
            or (reason := why_not_video(path)) is None
        ):
            yield path
        else:
            on_skipped(path, reason)


def _holds_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(is_image_name(Path(entry.name)) for entry in entries)


def _read_list(path: Path) -> Iterator[Path]:
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


def _batch_video(source: Path, results: Path, sidecars: Sidecars) -> BatchVideo:
    name = Path(source.absolute().name)
    output, stem = results / name, name.name
    if not source.is_dir() and not is_image_name(source):
        own = name.suffix if name.suffix.lower() in CONTAINERS else _FALLBACK_SUFFIX
        output, stem = output.with_suffix(sidecars.suffix or own), name.stem

    def sidecar(name: str, *, requested: bool) -> Path | None:
        return results / f"{stem}.{name}" if requested else None

    is_video = not is_image_name(source)
    return BatchVideo(
        source=source,
        output=output,
        compare=sidecar("compare.mkv", requested=sidecars.compare and is_video),
        record=sidecar("jsonl", requested=sidecars.record),
        framemd5=sidecar("framemd5", requested=sidecars.framemd5 and output.suffix in CONTAINERS),
        report=sidecar("json", requested=sidecars.report),
    )


def _check_names(films: Iterable[BatchVideo]) -> None:
    videos_by_path: dict[Path, BatchVideo] = {}
    for film in films:
        if film.output.absolute() == film.source.absolute():
            raise ConfigError(
                f"{film.source}: the result would replace the source; name another folder with -o"
            )
        for path in (film.output, film.compare, film.record, film.framemd5, film.report):
            if path is None:
                continue
            # Some file systems ignore the case of names.
            key = Path(str(path.absolute()).casefold())
            other = videos_by_path.setdefault(key, film)
            if other is not film:
                raise ConfigError(
                    f"{other.source} and {film.source}: both results would be {path}; rename one, "
                    "or restore them into two folders"
                )
