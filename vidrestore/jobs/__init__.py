"""A film restored in segments that outlive whatever stops the run.

Names are loaded when first used, so that a refusal does not wait for torch.
"""

from typing import TYPE_CHECKING

from vidrestore.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from vidrestore.jobs.batch import BatchProgress, FilmResult, restore_batch
    from vidrestore.jobs.batch_videos import BatchVideo, Sidecars, batch_films
    from vidrestore.jobs.estimate import Estimate, dry_run
    from vidrestore.jobs.run import restore_video
    from vidrestore.jobs.store.job_folder import count_finished_segments, job_folder_path
    from vidrestore.jobs.video import OutputFrame, Video, open

__all__ = [
    "BatchProgress",
    "BatchVideo",
    "Estimate",
    "FilmResult",
    "OutputFrame",
    "Sidecars",
    "Video",
    "batch_films",
    "count_finished_segments",
    "dry_run",
    "job_folder_path",
    "open",
    "restore_batch",
    "restore_video",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "BatchProgress": "batch",
        "BatchVideo": "batch_videos",
        "Estimate": "estimate",
        "FilmResult": "batch",
        "OutputFrame": "video",
        "Sidecars": "batch_videos",
        "Video": "video",
        "batch_films": "batch_videos",
        "count_finished_segments": "store.job_folder",
        "dry_run": "estimate",
        "job_folder_path": "store.job_folder",
        "open": "video",
        "restore_batch": "batch",
        "restore_video": "run",
    },
)
