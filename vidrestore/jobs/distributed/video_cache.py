"""The open video of a worker process, and its networks, which are kept for its next task."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from vidrestore.errors import MediaError
from vidrestore.jobs.distributed.worker_process import WorkerSettings, device_kind
from vidrestore.jobs.open_video import open_setup
from vidrestore.pipeline.loading.model_facts import ModelFacts
from vidrestore.pipeline.setup import Setup
from vidrestore.pipeline.stages import Stages
from vidrestore.settings import RestoreSettings, only_affecting


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSpec:
    """Description of a video for a worker."""

    run: str
    """Name of the run; files may change between two runs, and are opened again."""
    source: Path
    """Absolute, and the same on every machine."""
    settings: RestoreSettings
    folder: Path
    """Folder of the job, on storage that all machines share."""


class OpenVideo:
    """An open source with its networks."""

    def __init__(self, spec: VideoSpec, device: str, last: "OpenVideo | None") -> None:
        """Open a source, and load its networks unless ``last`` has the same.

        Args:
            spec: The video.
            device: Device of this worker.
            last: The video that was open before.

        Raises:
            VidrestoreError: The source cannot be opened, or a network cannot be loaded.
        """
        if not spec.folder.is_dir():
            raise MediaError(
                f"{spec.folder.parent}: a worker does not see this folder; put sources and "
                "outputs on storage that all machines mount under the same path"
            )
        self.spec = spec
        self.device = device
        self._stack = ExitStack()
        settings = replace(spec.settings, device=device)
        self.setup: Setup = self._stack.enter_context(open_setup(spec.source, settings))
        try:
            self.stages = self._open_stages(last)
        except BaseException:
            self.close()
            raise

    def _open_stages(self, last: "OpenVideo | None") -> Stages:
        setup = self.setup
        # A background is loaded for the geometry of its video.
        if (
            last is None
            or setup.settings.background is not None
            or not self._has_same_networks(last)
        ):
            return setup.stages(setup.background())
        return replace(
            last.stages,
            geometry=setup.source.info.geometry,
            settings=setup.settings,
            stopwatch=setup.stopwatch,
            fields=setup.fields,
            pad_batches=setup.source.info.kind != "picture",
        )

    def _has_same_networks(self, last: "OpenVideo") -> bool:
        own, theirs = (only_affecting(video.setup.settings, "bytes") for video in (self, last))
        return self.spec.run == last.spec.run and own == theirs

    def models(self) -> ModelFacts:
        """Return facts about the networks, for the report."""
        models = ModelFacts.of(self.stages)
        return replace(models, device=device_kind(models.device))

    def close(self) -> None:
        """Close the source."""
        self._stack.close()


class VideoCache:
    """Keeps the last video of a worker process open for its next task."""

    def __init__(self) -> None:
        self._last: OpenVideo | None = None

    def open(self, worker: WorkerSettings, spec: VideoSpec) -> OpenVideo:
        """Return an open video; it is opened unless it is the last one, on the same device.

        Raises:
            VidrestoreError: As ``OpenVideo``.
        """
        last = self._last
        if last is not None and (last.spec, last.device) == (spec, worker.device):
            return last
        self._last = None
        if last is not None:
            last.close()
        self._last = OpenVideo(spec, worker.device, last)
        return self._last


videos = VideoCache()
"""The cache of this process."""
