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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenVideo:
    """An open source with its networks."""

    spec: VideoSpec
    device: str
    """Device of this worker."""
    setup: Setup
    stages: Stages

    def models(self) -> ModelFacts:
        """Return facts about the networks, for the report."""
        models = ModelFacts.of(self.stages)
        return replace(models, device=device_kind(models.device))


class VideoCache:
    """Keeps the last video of a worker process open for its next task."""

    def __init__(self) -> None:
        self._last: OpenVideo | None = None
        self._source = ExitStack()

    def open(self, worker: WorkerSettings, spec: VideoSpec) -> OpenVideo:
        """Return an open video; it is opened unless it is the last one, on the same device.

        Raises:
            VidrestoreError: The source cannot be opened, or a network cannot be loaded.
        """
        last = self._last
        if last is not None and (last.spec, last.device) == (spec, worker.device):
            return last
        self._last = None
        self._source.close()
        if not spec.folder.is_dir():
            raise MediaError(
                f"{spec.folder.parent}: a worker does not see this folder; put sources and "
                "outputs on storage that all machines mount under the same path"
            )
        settings = replace(spec.settings, device=worker.device)
        setup = self._source.enter_context(open_setup(spec.source, settings))
        stages = _reused_stages(setup, spec, last) or setup.stages(setup.background())
        self._last = OpenVideo(spec=spec, device=worker.device, setup=setup, stages=stages)
        return self._last


def _reused_stages(setup: Setup, spec: VideoSpec, last: OpenVideo | None) -> Stages | None:
    """Return stages with the networks of the last video; None if they are others."""
    # A background is loaded for the geometry of its video.
    if last is None or last.spec.run != spec.run or setup.settings.background is not None:
        return None
    current, previous = (
        only_affecting(video_setup.settings, "bytes") for video_setup in (setup, last.setup)
    )
    if current != previous:
        return None
    return replace(
        last.stages,
        geometry=setup.source.info.geometry,
        settings=setup.settings,
        stopwatch=setup.stopwatch,
        fields=setup.fields,
        pad_batches=setup.source.info.kind != "picture",
    )


videos = VideoCache()
"""The cache of this process."""
