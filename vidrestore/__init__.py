"""Restores faces in old or damaged footage; leaves every other pixel as it was.

``restore_video`` is the whole of it::

    from vidrestore import restore_video

    report = restore_video("film.mp4", "restored.mp4")

Names are loaded when first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from vidrestore.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from vidrestore.errors import (
        ConfigError,
        DeviceError,
        DownloadError,
        MediaError,
        NonFiniteLossError,
        PipeClosedError,
        RecordError,
        UnknownModelError,
        UnsupportedStreamError,
        VidrestoreError,
        WeightsError,
        WorkerError,
    )
    from vidrestore.jobs import restore_video
    from vidrestore.media.input.video_info import VideoInfo, probe
    from vidrestore.pipeline import RestoreReport
    from vidrestore.progress import Progress, ProgressCallback
    from vidrestore.settings import JobSettings, RestoreSettings

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DeviceError",
    "DownloadError",
    "JobSettings",
    "MediaError",
    "NonFiniteLossError",
    "PipeClosedError",
    "Progress",
    "ProgressCallback",
    "RecordError",
    "RestoreReport",
    "RestoreSettings",
    "UnknownModelError",
    "UnsupportedStreamError",
    "VideoInfo",
    "VidrestoreError",
    "WeightsError",
    "WorkerError",
    "__version__",
    "probe",
    "restore_video",
]

_ERRORS = [name for name in __all__ if name.endswith("Error")]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "JobSettings": "settings",
        "Progress": "progress",
        "ProgressCallback": "progress",
        "RestoreReport": "pipeline",
        "RestoreSettings": "settings",
        "VideoInfo": "media.input.video_info",
        "probe": "media.input.video_info",
        "restore_video": "jobs",
        **dict.fromkeys(_ERRORS, "errors"),
    },
)
