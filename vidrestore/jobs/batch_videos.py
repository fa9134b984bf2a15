"""The films of a batch, from a folder or a list, and the paths of their outputs."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from vidrestore.errors import ConfigError
from vidrestore.media.file_kinds import is_image_name
from vidrestore.media.input.probe import why_not_video
from vidrestore.media.output.containers import CONTAINERS, FILM_SUFFIXES

_FALLBACK_SUFFIX = ".mkv"


SIDECARS: Mapping[str, str] = MappingProxyType(
    {"compare": "compare.mkv", "record": "jsonl", "framemd5": "framemd5", "report": "json"}
)
"""Names of files beside a result -> their endings. The first three are settings, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchVideo:
    """One film of a batch."""

    source: Path
    output: Path
    sidecars: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Path by name in ``SIDECARS``."""


def batch_films(
    where: Path,
    results: Path,
    *,
    suffix: str | None = None,
    sidecars: Collection[str] = (),
    on_skipped: Callable[[Path, str], None] = lambda _path, _reason: None,
) -> tuple[BatchVideo, ...]:
    """Return the films of a batch.

    Args:
        where: A folder of films and of folders of pictures, or a list: a text file with a path on
            each line, relative to the list; lines that begin with ``#`` are comments.
        results: A folder, which need not exist.
        suffix: Suffix of all results, as ``.mkv``; None keeps the source's if it can be written.
        sidecars: Files to write beside each result, of ``SIDECARS``.
        on_skipped: Called for everything in the folder that is no film, with the reason.

    Raises:
        ConfigError: There is no film, or two results would have the same path.
    """
    if suffix is not None and suffix not in CONTAINERS:
        raise ConfigError(f"ending must be one of {', '.join(CONTAINERS)}, got {suffix!r}")
    sources = tuple(_list_folder(where, on_skipped) if where.is_dir() else _read_list(where))
    if not sources:
        raise ConfigError(f"{where}: contains no film; name a folder or a list of films")
    if results.exists() and not results.is_dir():
        raise ConfigError(f"-o {results}: is a file; name a folder for the results")
    films = tuple(_batch_video(source, results, suffix, sidecars) for source in sources)
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
        elif path.suffix.lower() in FILM_SUFFIXES or (reason := why_not_video(path)) is None:
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


def _batch_video(
    source: Path, results: Path, suffix: str | None, sidecars: Collection[str]
) -> BatchVideo:
    name = Path(source.absolute().name)
    output, stem = results / name, name.name
    if not source.is_dir() and not is_image_name(source):
        own = name.suffix if name.suffix.lower() in CONTAINERS else _FALLBACK_SUFFIX
        output, stem = output.with_suffix(suffix or own), name.stem
    unsuitable: set[str] = {"compare"} if is_image_name(source) else set()
    if output.suffix not in CONTAINERS:
        unsuitable.add("framemd5")
    paths = {name: results / f"{stem}.{ending}" for name, ending in SIDECARS.items()}
    chosen = {name: path for name, path in paths.items() if name in {*sidecars} - unsuitable}
    return BatchVideo(source=source, output=output, sidecars=chosen)


def _check_names(films: Iterable[BatchVideo]) -> None:
    videos_by_path: dict[Path, BatchVideo] = {}
    for film in films:
        if film.output.absolute() == film.source.absolute():
            raise ConfigError(
                f"{film.source}: the result would replace the source; name another folder with -o"
            )
        for path in (film.output, *film.sidecars.values()):
            # Some file systems ignore the case of names.
            key = Path(str(path.absolute()).casefold())
            other = videos_by_path.setdefault(key, film)
            if other is not film:
                raise ConfigError(
                    f"{other.source} and {film.source}: both results would be {path}; rename one, "
                    "or restore them into two folders"
                )
