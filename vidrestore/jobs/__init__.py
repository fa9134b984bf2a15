"""A film restored in segments that outlive whatever stops the run."""

from vidrestore.jobs.dryrun import DryRun, dry_run
from vidrestore.jobs.folder import job_folder_path, kept_segments
from vidrestore.jobs.run import restore_video
from vidrestore.jobs.settings import JobSettings

__all__ = [
    "DryRun",
    "JobSettings",
    "dry_run",
    "job_folder_path",
    "kept_segments",
    "restore_video",
]
