"""Options of all commands that restore, and what they ask for."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vidrestore.cli.arguments import FrameRate, Knob, Seconds

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
    """How films are restored, whichever."""

    model: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = "lite"
    """Restorer: a name (`vidrestore weights list` shows more), or a checkpoint file."""
    fidelity: Knob = None
    """Of --model codeformer: 0 invents most detail, 1 stays closest to the film."""
    detail: Knob = None
    """Of --model lite: 0 stays closest to the film, 1 is sharpest (`vidrestore info lite`)."""
    background: Annotated[str | None, tyro.conf.arg(metavar="[auto|NAME|FILE]")] = None
    """Restore the whole picture, too: by `realesrgan` or `compact`, which come with the program, or
    by the super-resolution network of a checkpoint. auto, which a bare --background means, is
    realesrgan on a GPU and compact on a CPU."""
    scale: Annotated[Literal[1, 2, 4] | None, tyro.conf.arg(metavar="1|2|4")] = None
    """Of --background: how many times larger the picture becomes along each side; 1 where not
    given, or what the network of a checkpoint makes."""
    detector: Literal["mtcnn", "retinaface", "retinaface-mobile"] = "mtcnn"
    """Face detector; mtcnn comes with the program, the others are fetched once."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda|cuda:N")] = "auto"
    """Where the networks run; auto is the first GPU, or else the CPU."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the networks; auto is bf16 where it is fast, or else fp32."""
    batch_size: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Faces restored at once; chosen for the device where not given."""
    strength: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much of the restored face is taken, 0 (none) to 1 (all)."""
    faces: Literal["all", "largest"] = "all"
    """Restore all faces, or the largest of each frame only."""
    min_face: Annotated[float, tyro.conf.arg(metavar="PX")] = 24.0
    """Leave faces alone that are lower than this, in pixels of the film."""
    grain: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much of the grain of the film is put back on a restored face, 0 to 1."""
    mask: Literal["face", "head"] = "head"
    """Restore the face alone, or hair, ears and neck, too, as far as they are near."""
    steady: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How much a face is averaged with its neighbouring frames before it is restored, 0 to 1."""
    safeguard: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How far faces are protected from harm: those hidden, turned, uncertain or changed in person,
    eyes or mouth are left alone or restored less; 0 restores them all."""
    keep_good: Annotated[float, tyro.conf.arg(metavar="0..1")] = 1.0
    """How far faces that are already good are left alone, 0 to 1."""
    deinterlace: Literal["auto", "keep", "frame", "field"] = "auto"
    """Interlaced film: restore every field and keep them (auto and keep), or make whole pictures of
    every frame, or of every field at twice the rate."""
    pulldown: bool = False
    """Undo the 3:2 pulldown of telecined film: four frames for every five."""
    start: Seconds = None
    """Begin here: seconds, or HH:MM:SS.mmm."""
    end: Seconds = None
    """End before here: seconds, or HH:MM:SS.mmm."""
    codec: Literal["h264", "h265", "av1", "ffv1", "prores", "dnxhr"] = "h264"
    """Video encoder; ffv1 is lossless."""
    crf: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """Quality of the encoder, lower is better; hard to tell from the source where not given."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Speed of the encoder (of prores and dnxhr: the profile); a sensible one where not given."""
    fps: FrameRate = Fraction(25)
    """Frames per second of a folder of frames: 25, 23.976, 24000/1001."""
    segment: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 10.0
    """Length from which on a part of the film is finished for good at the next cut."""
    engine: Literal["local", "ray"] = "local"
    """Who restores: this process, or workers that Ray starts, on all cores and GPUs of this machine
    or of the cluster that RAY_ADDRESS names."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Of --engine ray: at most so many workers; as many as fit where not given."""
    overwrite: bool = False
    """Replace files that exist, and what a run that was cut off has left."""
    drop_unsupported: bool = False
    """Leave out streams that the output cannot hold, instead of refusing."""
    quiet: bool = False
    """Print errors only."""
    debug: bool = False
    """Print the traceback of an error, too."""

    def restore_settings(
        self,
        *,
        only_tracks: tuple[int, ...] = (),
        compare: Path | None = None,
        record: Path | None = None,
        framemd5: Path | None = None,
    ) -> "RestoreSettings":
        """Return what to do with a film.

        Args:
            only_tracks: Of this film.
            compare: Also to be written.
            record: As well.
            framemd5: As well.

        Raises:
            ConfigError: A value is out of range.
        """
        from vidrestore.pipeline import RestoreSettings

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
        from vidrestore.pipeline.load_upscaler import background_of

        return background_of(self.background, self.device)

    def job_settings(self, *, resume: bool = False) -> "JobSettings":
        """Return how to divide the work, and whether to go on with what is there.

        Raises:
            ConfigError: A value is out of range.
        """
        from vidrestore.jobs import JobSettings

        return JobSettings(
            resume=resume, segment_seconds=self.segment, engine=self.engine, workers=self.workers
        )
