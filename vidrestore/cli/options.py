"""Options of all commands that restore, and the settings that they stand for."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vidrestore.cli.arguments import (
    Count,
    FaceHeight,
    FrameRate,
    Knob,
    Seconds,
    SegmentLength,
    Share,
)
from vidrestore.cli.exit_codes import usage_errors

if TYPE_CHECKING:
    from vidrestore.jobs import JobSettings
    from vidrestore.pipeline import RestoreSettings

OPTION_OF_SETTING = {
    "min_face_px": "min_face",
    "only_tracks": "only_track",
    "start_seconds": "start",
    "end_seconds": "end",
}
"""Settings whose option has another name."""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """How a film is restored."""

    model: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = "lite"
    """Restorer: a name (`vidrestore weights list` shows more), or a checkpoint file."""
    fidelity: Knob = None
    """For --model codeformer: 0 invents most detail, 1 stays closest to the film; by default
    chosen by the network."""
    detail: Knob = None
    """For --model lite: 0 stays closest to the film, 1 is sharpest; by default what its weights say
    (`vidrestore info lite`)."""
    background: Annotated[
        str | None, tyro.conf.arg(metavar="[auto|NAME|FILE]", help_behavior_hint="")
    ] = None
    """Also restore the whole picture: with `realesrgan` or `compact`, which come with the program,
    or with a super-resolution network from a checkpoint. auto, or no value, is realesrgan on a GPU
    and compact on a CPU."""
    scale: Annotated[
        Literal[1, 2, 4] | None, tyro.conf.arg(metavar="1|2|4", help_behavior_hint="")
    ] = None
    """For --background: enlargement of the picture along each side; by default 1, or the factor of
    the network if it is from a checkpoint."""
    detector: Literal["mtcnn", "retinaface", "retinaface-mobile"] = "mtcnn"
    """Face detector; mtcnn comes with the program, the others are downloaded once."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Device of the networks; auto is the first GPU, or else the CPU."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the networks; auto is bf16 where it is fast, or else fp32."""
    batch_size: Count = None
    """Number of faces restored at once; by default chosen for the device."""
    strength: Share = 1.0
    """Opacity of the restored face over the source, 0 (none of it) to 1 (all of it)."""
    faces: Literal["all", "largest"] = "all"
    """Restore all faces, or only the largest of each frame."""
    min_face: FaceHeight = 24.0
    """Smallest height of a face to restore, in pixels of the film."""
    grain: Share = 1.0
    """How much of the film's grain is put back on a restored face, 0 to 1."""
    mask: Literal["face", "head"] = "head"
    """Restore only the face, or also hair, ears and neck near it."""
    steady: Share = 1.0
    """How much a face is averaged over neighbouring frames before it is restored, 0 to 1."""
    safeguard: Share = 1.0
    """How strongly faces are protected: a face that is hidden, turned or uncertain, or whose
    identity, eyes or mouth would change, is restored less or not at all; 0 restores all in full."""
    keep_good: Share = 1.0
    """How strongly faces that are already good are left unchanged, 0 to 1."""
    deinterlace: Literal["auto", "keep", "frame", "field"] = "auto"
    """For interlaced film: restore each field and keep the film interlaced (auto and keep), or
    deinterlace to one picture per frame (frame), or per field at twice the rate (field)."""
    pulldown: bool = False
    """Undo the 3:2 pulldown of telecined film: four frames for every five."""
    start: Seconds = None
    """Start at this time: seconds, or HH:MM:SS.mmm; by default at the beginning."""
    end: Seconds = None
    """Stop before this time: seconds, or HH:MM:SS.mmm; by default at the end."""
    codec: Literal["h264", "h265", "av1", "ffv1", "prores", "dnxhr"] = "h264"
    """Video encoder; ffv1 is lossless."""
    crf: Annotated[float | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Quality of the encoder, lower is better; the default is visually close to lossless."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Speed of the encoder (of prores and dnxhr: the profile); by default chosen for the codec."""
    fps: FrameRate = Fraction(25)
    """Frame rate of a folder of frames: 25, 23.976, 24000/1001."""
    segment: SegmentLength = 10.0
    """Shortest length of a segment, which ends at the next cut; finished segments can be
    resumed."""
    engine: Literal["local", "ray"] = "local"
    """Restore in this process, or on workers that Ray starts on all cores and GPUs of this machine
    or of the cluster at RAY_ADDRESS."""
    workers: Count = None
    """For --engine ray: the most workers to start; by default as many as fit."""
    overwrite: bool = False
    """Replace existing files, and the remains of an interrupted run."""
    drop_unsupported: bool = False
    """Drop streams that the output cannot hold, instead of refusing the film."""
    quiet: bool = False
    """Print only errors."""
    debug: bool = False
    """Also print the traceback of an error."""

    def restore_settings(
        self,
        *,
        only_tracks: tuple[int, ...] = (),
        compare: Path | None = None,
        record: Path | None = None,
        framemd5: Path | None = None,
    ) -> "RestoreSettings":
        """Return the settings of one film.

        Args:
            only_tracks: Tracks of this film to restore; all if empty.
            compare: Film with before and after to write, if any.
            record: Record to write, if any.
            framemd5: File of checksums to write, if any.

        Raises:
            UsageError: A value is out of range, or options do not go together.
        """
        from vidrestore.pipeline import RestoreSettings

        with usage_errors():
            return RestoreSettings(
                model=self.model,
                fidelity=self.fidelity,
                detail=self.detail,
                background=self._background_setting(),
                scale=self.scale,
                detector=self.detector,
                device=self.device,
                precision=self.precision,
                batch_size=self.batch_size,
                strength=self.strength,
                grain=self.grain,
                mask=self.mask,
                steady=self.steady,
                safeguard=self.safeguard,
                keep_good=self.keep_good,
                faces=self.faces,
                min_face_px=self.min_face,
                deinterlace=self.deinterlace,
                pulldown=self.pulldown,
                start_seconds=self.start,
                end_seconds=self.end,
                codec=self.codec,
                crf=self.crf,
                preset=self.preset,
                fps=self.fps,
                only_tracks=only_tracks,
                compare=compare,
                record=record,
                framemd5=framemd5,
                overwrite=self.overwrite,
                drop_unsupported=self.drop_unsupported,
            )

    def _background_setting(self) -> str | Path | None:
        if self.background is None:
            return None
        from vidrestore.pipeline.loading.load_upscaler import background_of

        return background_of(self.background, self.device)

    def job_settings(self, *, resume: bool = False) -> "JobSettings":
        """Return the settings that divide the work, and whether to resume.

        Raises:
            UsageError: A value is out of range, or options do not go together.
        """
        from vidrestore.jobs import JobSettings

        with usage_errors():
            return JobSettings(
                resume=resume,
                segment_seconds=self.segment,
                engine=self.engine,
                workers=self.workers,
            )
