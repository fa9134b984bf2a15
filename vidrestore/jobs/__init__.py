"""A film restored in segments that outlive whatever stops the run."""

from vidrestore.jobs.run import restore_video
from vidrestore.jobs.settings import JobSettings

__all__ = ["JobSettings", "restore_video"]
