"""A film restored in segments that outlive whatever stops the run.

Names are loaded when first used, so that a refusal does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.jobs.batch import BatchProgress, FilmResult, restore_batch
    from vidrestore.jobs.dryrun import DryRun, dry_run
    from vidrestore.jobs.films import BatchFilm, Wanted, batch_films
    from vidrestore.jobs.folder import job_folder_path, kept_segments
    from vidrestore.jobs.run import restore_video
    from vidrestore.jobs.settings import JobSettings

__all__ = [
    "BatchFilm",
    "BatchProgress",
    "DryRun",
    "FilmResult",
    "JobSettings",
    "Wanted",
    "batch_films",
    "dry_run",
    "job_folder_path",
    "kept_segments",
    "restore_batch",
    "restore_video",
]

_HOME = {
    "BatchFilm": "films",
    "BatchProgress": "batch",
    "DryRun": "dryrun",
    "FilmResult": "batch",
    "JobSettings": "settings",
    "Wanted": "films",
    "batch_films": "films",
    "dry_run": "dryrun",
    "job_folder_path": "folder",
    "kept_segments": "folder",
    "restore_batch": "batch",
    "restore_video": "run",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
