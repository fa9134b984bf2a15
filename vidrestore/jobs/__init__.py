"""A film restored in segments that outlive whatever stops the run."""

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
