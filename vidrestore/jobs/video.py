"""``open``: the restored frames of a film, one by one, for programs that go on with them."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidrestore.errors import ConfigError
from vidrestore.jobs.open_video import finished_frames, no_frame_error, open_setup
from vidrestore.media.color.region_rgb import region_to_rgb
from vidrestore.media.input.video_info import VideoInfo, probe
from vidrestore.progress import DownloadCallback, not_shown
from vidrestore.settings import RestoreSettings, settings_of
from vidrestore.types import DisplayGeometry, FinishedFace, Frame, Plane

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutputFrame:
    """A restored frame: what ``restore_video`` gives to the encoder, and what was done."""

    frame: Frame
    """The restored frame: planes, pixel format, color tags, timestamp."""
    source: Frame
    """The same frame as decoded."""
    geometry: DisplayGeometry
    """How the samples of ``frame`` appear on the screen: rotation and pixel aspect ratio."""
    shot: int
    """Number of the shot, from 0."""
    faces: tuple[FinishedFace, ...]
    """All tracked faces, in order of track number: position, strength, and what limits it."""
    is_monochrome: bool
    """Whether the shot is black-and-white or tinted, so that its chroma was left alone."""

    @property
    def index(self) -> int:
        """Number of the frame, from 0 at the first of the time range."""
        return self.source.index

    @property
    def pts_seconds(self) -> Fraction:
        """When the frame is presented, in seconds on the clock of the source."""
        return self.source.timestamp.seconds

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Samples of the restored frame, in the order of ``frame.pixel_format``.

        A lossless output has exactly these.
        """
        return self.frame.planes

    def to_rgb(self) -> Plane:
        """Return the restored frame as ``(H, W, 3)`` RGB, of the film's depth.

        Values are 0 to 255 as uint8, or 0 to ``2 ** bit_depth - 1`` as uint16 for deeper films,
        with the film's matrix, range and transfer. Rows and columns are those of the planes: what
        ``geometry`` rotates and stretches on the screen is not rotated and stretched here.
        """
        height, width = self.frame.coded_hw
        rgb = region_to_rgb(self.frame, (0, 0, width, height))
        rgb *= self.frame.pixel_format.max_value
        return np.rint(rgb, out=rgb).astype(self.frame.planes[0].dtype)

    def to_tensor(self) -> "torch.Tensor":
        """Return ``to_rgb`` as a ``(3, H, W)`` float32 tensor in [0, 1], before rounding."""
        import torch

        height, width = self.frame.coded_hw
        return torch.from_numpy(region_to_rgb(self.frame, (0, 0, width, height))).permute(2, 0, 1)


class Video:
    """A film, a folder of frames or a picture whose restored frames can be read.

    It holds no file open: each ``restored`` opens the source, and closes it at its end.
    """

    def __init__(self, path: Path, info: VideoInfo, settings: RestoreSettings) -> None:
        """See ``open``."""
        self.path = path
        self.info = info
        """What the source is: size, rate, duration, streams."""
        self.settings = settings

    def restored(self, *, on_download: DownloadCallback = not_shown) -> Generator[OutputFrame]:
        """Yield every frame once, in order, restored; the same samples as ``restore_video``.

        Frames are decoded and restored ahead on threads. Memory does not grow with the length of
        the film. Closing the generator stops the threads and closes the source; a ``for`` loop that
        is left early does so when it was the last to use the generator.

        Args:
            on_download: As for ``restore_video``.

        Raises:
            VidrestoreError: The source cannot be read, or a network cannot be loaded.
        """
        with open_setup(
            self.path, self.settings, check_format=True, on_download=on_download
        ) as setup:
            # Imported late: a source that cannot be read is refused before torch is loaded.
            from vidrestore.pipeline.setup import output_geometry

            stages = setup.stages(setup.background())
            geometry = output_geometry(stages)
            has_frames = False
            with closing(finished_frames(setup.source, stages, stages.analyze)) as finished:
                for restored in finished:
                    has_frames = True
                    yield OutputFrame(
                        frame=restored.frame,
                        source=restored.source,
                        geometry=geometry,
                        shot=restored.shot,
                        faces=restored.faces,
                        is_monochrome=restored.is_monochrome,
                    )
            if not has_frames:
                raise no_frame_error(setup.source.info, self.settings)


def open(path: str | PathLike[str], *, settings: RestoreSettings | None = None) -> Video:
    """Open a film, a folder of frames or a picture, to read its restored frames.

    Args:
        path: The source; pipes are for ``restore_video``.
        settings: Settings of the restoration; the defaults if None. Those of the encoder have no
            effect.

    Raises:
        MediaError: The source cannot be read.
        ConfigError: The settings name a file to write.
    """
    settings = settings or RestoreSettings()
    for setting in settings_of(RestoreSettings):
        if setting.option.group == "Reports" and getattr(settings, setting.name) != setting.default:
            raise ConfigError(
                f"{setting.name}: frames are read, and no file is written; leave it out"
            )
    path = Path(path)
    return Video(path, probe(path), settings)
