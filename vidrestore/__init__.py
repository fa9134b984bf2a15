"""Restores faces in old or damaged footage; leaves every other pixel as it was.

``restore_video`` writes a restored film, and ``open`` gives its frames::

    import vidrestore

    report = vidrestore.restore_video("film.mp4", "restored.mp4")
    for frame in vidrestore.open("film.mp4").restored():
        print(frame.pts_seconds, frame.to_rgb().shape)

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
        PipeClosedError,
        RecordError,
        UnknownModelError,
        UnsupportedStreamError,
        VerificationError,
        VidrestoreError,
        WeightsError,
        WorkerError,
    )
    from vidrestore.jobs.run import restore_video
    from vidrestore.jobs.video import OutputFrame, Video, open
    from vidrestore.media.input.video_info import VideoInfo, probe
    from vidrestore.pipeline.report import RestoreReport
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
    "OutputFrame",
    "PipeClosedError",
    "Progress",
    "ProgressCallback",
    "RecordError",
    "RestoreReport",
    "RestoreSettings",
    "UnknownModelError",
    "UnsupportedStreamError",
    "VerificationError",
    "Video",
    "VideoInfo",
    "VidrestoreError",
    "WeightsError",
    "WorkerError",
    "__version__",
    "open",
    "probe",
    "restore_video",
]

_ERRORS = [name for name in __all__ if name.endswith("Error")]

_MODULES = {
    "JobSettings": "settings",
    "OutputFrame": "jobs.video",
    "Progress": "progress",
    "ProgressCallback": "progress",
    "RestoreReport": "pipeline.report",
    "RestoreSettings": "settings",
    "Video": "jobs.video",
    "VideoInfo": "media.input.video_info",
    "open": "jobs.video",
    "probe": "media.input.video_info",
    "restore_video": "jobs.run",
    **dict.fromkeys(_ERRORS, "errors"),
}


def __getattr__(name: str) -> object:
    # A refusal, --help and a table of codecs then need neither torch nor FFmpeg (PEP 562).
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
