"""Facts about the networks of a run for its record and report, wherever they ran."""

from dataclasses import dataclass, replace
from pathlib import PurePath

from vidrestore.pipeline.background.upscale_frames import Background
from vidrestore.pipeline.stages import Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundFacts:
    """Facts about the network for whole frames."""

    name: str
    """Name in the table, or of the checkpoint file."""
    kind: str
    scale: int

    @staticmethod
    def of(background: Background) -> "BackgroundFacts":
        """Return the facts of a network."""
        return BackgroundFacts(
            name=PurePath(background.upscaler.name).name,
            kind=background.upscaler.kind,
            scale=background.scale,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts about the networks that restored a film."""

    device: str
    precision: str
    detail: float | None = None
    """Interpolation between the model's two sets of weights; None if it has one."""
    reduced_batch_size: int | None = None
    """Number of faces that fitted into memory; None if a full batch did."""
    recording_failure: str | None = None
    """Why the restorer could not be recorded as a CUDA graph; None if it was, or was not to be."""
    background: BackgroundFacts | None = None

    @property
    def scale(self) -> int:
        """Enlargement of the output over the source, along each side."""
        return 1 if self.background is None else self.background.scale

    @staticmethod
    def of(stages: Stages) -> "ModelFacts":
        """Return the facts of stages and their counts so far."""
        restorer, background = stages.restorer, stages.background
        return ModelFacts(
            device=str(restorer.device),
            precision=str(restorer.dtype).removeprefix("torch."),
            detail=restorer.detail,
            reduced_batch_size=restorer.reduced_batch_size,
            recording_failure=restorer.recording_failure,
            background=None if background is None else BackgroundFacts.of(background),
        )

    def merged(self, other: "ModelFacts") -> "ModelFacts":
        """Return the facts of a run that used the networks of both."""
        fitting = [
            facts.reduced_batch_size
            for facts in (self, other)
            if facts.reduced_batch_size is not None
        ]
        return replace(
            self,
            reduced_batch_size=min(fitting, default=None),
            recording_failure=self.recording_failure or other.recording_failure,
        )
