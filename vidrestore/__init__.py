"""Restores faces in old or damaged footage; leaves every other pixel as it was.

``restore_video`` is the whole of it::

    from vidrestore import restore_video

    report = restore_video("film.mp4", "restored.mp4")

Names are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrestore.errors import (
        ConfigError,
        DeviceError,
        DownloadError,
        MediaError,
        NonFiniteLossError,
        RecordError,
        UnknownModelError,
        UnsupportedStreamError,
        VidrestoreError,
        WeightsError,
        WorkerError,
    )
    from vidrestore.jobs import JobSettings, restore_video
    from vidrestore.media.info import VideoInfo, probe
    from vidrestore.pipeline import RestoreReport, RestoreSettings
    from vidrestore.progress import Progress, ProgressCallback

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DeviceError",
    "DownloadError",
    "JobSettings",
    "MediaError",
    "NonFiniteLossError",
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

_HOME = {
    "JobSettings": "jobs",
    "Progress": "progress",
    "ProgressCallback": "progress",
    "RestoreReport": "pipeline",
    "RestoreSettings": "pipeline",
    "VideoInfo": "media.info",
    "probe": "media.info",
    "restore_video": "jobs",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
