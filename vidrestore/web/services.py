"""What the page and its routes work with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.errors import ConfigError
from vidrestore.media.output.containers import CONTAINERS
from vidrestore.settings import RestoreSettings
from vidrestore.web.allowed_folders import AllowedFolders
from vidrestore.web.form import Form
from vidrestore.web.preview.client import PreviewClient
from vidrestore.web.preview.store import PreviewStore
from vidrestore.web.queue.runner import Runner
from vidrestore.web.queue.store import JobQueue
from vidrestore.web.source_info import SourceInfo
from vidrestore.web.viewing_copy import ViewingCopies

_MAX_NAME_BYTES = 200
_SUFFIX_OF_CODEC = {"ffv1": ".mkv", "prores": ".mov", "dnxhr": ".mov"}
_PLAIN_SUFFIXES = (".mp4", ".mkv", ".mov")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Services:
    """Everything behind the page; shared by all its tabs."""

    films: AllowedFolders
    """Folders that were named at the start."""
    uploads: AllowedFolders
    """The folder of uploaded files."""
    results: Path
    """Where restored films are written."""
    queue: JobQueue
    runner: Runner
    previews: PreviewClient
    preview_store: PreviewStore
    copies: ViewingCopies
    form: Form
    models: Sequence[dict[str, Any]]
    """Every restorer, as ``preview.worker.model_list`` describes it."""

    def close(self) -> None:
        """End all processes; what was not finished continues at the next start."""
        self.previews.close()
        self.copies.close()
        self.runner.close()
        self.queue.close()


def output_path(
    results: Path,
    name: str,
    info: SourceInfo,
    settings: RestoreSettings,
    *,
    taken: Collection[Path] = (),
) -> Path:
    """Return the path of a result.

    Args:
        results: The folder of results.
        name: Its name there; one is made of the source's if it is empty.
        info: The source.
        settings: Settings of the restoration.
        taken: Paths of other results, which may not be there yet.

    Raises:
        ConfigError: The name is no plain file name.
    """
    name = name.strip()
    if not name:
        stem, suffix = _result_stem(info), _suffix(info, settings)
        return free_path(results, f"{stem}.restored", suffix, taken=taken)
    is_plain = name.isprintable() and Path(name).name == name and "\\" not in name
    if not is_plain or name.startswith(".") or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise ConfigError(
            "name of the result: must be a short file name without folders, as film.mkv; the "
            f"folder is {results}"
        )
    return results / name


def free_path(results: Path, stem: str, suffix: str, *, taken: Collection[Path]) -> Path:
    """Return the path of a result of which there is none yet, with a number if need be.

    Raises:
        ConfigError: There are thousands.
    """
    for number in range(1, 10_000):
        path = results / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}"
        if path not in taken and not path.exists():
            return path
    raise ConfigError("name of the result: thousands of results have it; choose another")


def _result_stem(info: SourceInfo) -> str:
    stem = info.path.name if info.kind == "folder" else info.path.stem
    stem = "".join(mark for mark in stem.lstrip(".-") if mark.isprintable()) or "film"
    return stem.encode(errors="ignore")[: _MAX_NAME_BYTES - 40].decode(errors="ignore")


def _suffix(info: SourceInfo, settings: RestoreSettings) -> str:
    own = info.path.suffix.lower()
    if info.kind == "folder":
        return ""
    if info.kind == "picture":
        return own
    if settings.codec in _SUFFIX_OF_CODEC:
        return _SUFFIX_OF_CODEC[settings.codec]
    return own if own in _PLAIN_SUFFIXES and own in CONTAINERS else ".mkv"
