"""``restore_video``, its settings and its report: everything a caller needs."""

from vidrestore.pipeline.report import RestoreReport
from vidrestore.pipeline.run import restore_video
from vidrestore.pipeline.settings import RestoreSettings

__all__ = ["RestoreReport", "RestoreSettings", "restore_video"]
