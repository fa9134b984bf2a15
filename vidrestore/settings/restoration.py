"""Settings of a restoration."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

from vidrestore.errors import ConfigError
from vidrestore.settings.codecs import CodecName, check_encoding
from vidrestore.settings.option import check_options, option
from vidrestore.settings.track_strength import (
    TrackStrength,
    check_track_strengths,
    strength_of_track,
)
from vidrestore.settings.upscaler_names import check_upscaler_name

DetectorName: TypeAlias = Literal["mtcnn", "retinaface", "retinaface-mobile"]
PrecisionName: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
MaskShape: TypeAlias = Literal["face", "head"]
"""Region that is restored: an ellipse through the landmarks, or also hair, ears and neck."""
RepairName: TypeAlias = Literal["dust", "scratches", "flicker"]
Deinterlace: TypeAlias = Literal["auto", "keep", "frame", "field"]
"""``auto`` keeps the fields of interlaced film. ``keep`` also treats a film without flags as
interlaced, unless its frames show that it is not. ``frame`` and ``field`` deinterlace to one
frame per frame or per field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """Settings of ``restore_video``; the defaults suit most films.

    ``vidrestore.settings.settings_of(RestoreSettings)`` has the help and the range of each.
    """

    model: str = option(
        "lite",
        "Restorer: a name (`vidrestore weights list` shows them), or a checkpoint file.",
        group="How strongly",
        metavar="NAME|FILE",
        common=True,
        see="models.md",
        affects="bytes",
        resolved=True,
    )
    detail: float | None = option(
        None,
        "For models with two sets of weights, as lite: 0 stays closest to the film, 1 is sharpest.",
        group="How strongly",
        low=0,
        high=1,
        means="0.5",
        common=True,
        see="models.md#detail",
        affects="bytes",
    )
    fidelity: float | None = option(
        None,
        "For --model codeformer: 0 invents most detail, 1 stays closest to the film.",
        group="How strongly",
        low=0,
        high=1,
        means="the model's own",
        affects="bytes",
    )
    strength: float = option(
        1.0,
        "How much of the restored face to use: 0 none, 1 all.",
        group="How strongly",
        low=0,
        high=1,
        affects="bytes",
    )
    track_strengths: tuple[TrackStrength, ...] = option(
        (),
        "Use this strength for one track, by its number in the record or the review, instead of "
        "--strength. May be repeated.",
        group="How strongly",
        flag="track-strength",
        metavar="N=STRENGTH",
        see="usage.md#review",
        affects="bytes",
        resolved=True,
        per_run=True,
    )
    grain: float = option(
        1.0,
        "How much of the film's own grain to put back on a restored face.",
        group="How strongly",
        low=0,
        high=1,
        affects="bytes",
    )
    steady: float = option(
        1.0,
        "How much to average a face with its neighboring frames before it is restored, and its "
        "new detail after; 0 restores each frame separately.",
        group="How strongly",
        low=0,
        high=1,
        affects="bytes",
    )
    safeguard: float = option(
        1.0,
        "How strictly to protect faces that are hidden, turned or uncertain, or whose identity, "
        "eyes or mouth would change; 0 restores all in full.",
        group="How strongly",
        low=0,
        high=1,
        see="how-it-works.md#the-safeguard",
        affects="bytes",
    )
    keep_good: float = option(
        1.0,
        "How strictly to leave faces unchanged that are already good.",
        group="How strongly",
        low=0,
        high=1,
        affects="bytes",
    )
    background: str | Path | None = option(
        None,
        "Also restore the whole frame: with realesrgan or compact, which come with the program, or "
        "with a super-resolution network from a checkpoint file. auto, or no value, is realesrgan "
        "on a GPU and compact on a CPU.",
        group="What to restore",
        metavar="[auto|NAME|FILE]",
        common=True,
        see="models.md#the-whole-picture",
        affects="bytes",
        resolved=True,
    )
    scale: Literal[1, 2, 4] | None = option(
        None,
        "For --background: enlarge the film so many times along each side.",
        group="What to restore",
        means="1, or the factor of the network in a checkpoint file",
        affects="bytes",
        resolved=True,
    )
    repair: tuple[RepairName, ...] = option(
        (),
        "Also repair the whole frame of old film: dust, scratches and flicker of brightness, or "
        "some of them.",
        group="What to restore",
        metavar="dust,scratches,flicker",
        see="how-it-works.md#repair",
        affects="bytes",
        resolved=True,
    )
    faces: Literal["all", "largest"] = option(
        "all",
        "Restore all faces, or only the largest of each frame.",
        group="What to restore",
        affects="bytes",
    )
    min_face_px: float = option(
        24.0,
        "Skip faces whose box is smaller than this on its longer side, in pixels of the film.",
        group="What to restore",
        low=0,
        flag="min-face",
        metavar="PX",
        affects="bytes",
    )
    only_tracks: tuple[int, ...] = option(
        (),
        "Restore only this track, by its number in the record or the review. May be repeated.",
        group="What to restore",
        flag="only-track",
        metavar="N",
        see="usage.md#review",
        affects="bytes",
        resolved=True,
        per_run=True,
    )
    mask: MaskShape = option(
        "head",
        "Restore only the face, or also hair, ears and neck near it.",
        group="What to restore",
        affects="bytes",
    )
    detector: DetectorName = option(
        "mtcnn",
        "Face detector. mtcnn comes with the program; the others are downloaded on first use.",
        group="What to restore",
        see="models.md#detectors",
        affects="bytes",
    )
    start_seconds: Fraction | None = option(
        None,
        "Start at this time: seconds, or HH:MM:SS.mmm.",
        group="What to restore",
        flag="start",
        metavar="TIME",
        means="the beginning",
        affects="bytes",
    )
    end_seconds: Fraction | None = option(
        None,
        "Stop before this time: seconds, or HH:MM:SS.mmm.",
        group="What to restore",
        flag="end",
        metavar="TIME",
        means="the end",
        affects="bytes",
    )
    program: int | None = option(
        None,
        "For a transport stream with several programs: the number of the one to restore.",
        group="What to restore",
        low=1,
        means="the first with video",
        affects="bytes",
    )
    codec: CodecName = option(
        "h264",
        "Video codec. ffv1 is lossless.",
        group="The output",
        common=True,
        affects="bytes",
    )
    crf: float | None = option(
        None,
        "Quality of the encoder; lower is better.",
        group="The output",
        metavar="N",
        means="visually lossless",
        affects="bytes",
        resolved=True,
    )
    preset: str | None = option(
        None,
        "Speed of the encoder; for prores and dnxhr, the profile.",
        group="The output",
        metavar="NAME",
        means="chosen for the codec",
        affects="bytes",
        resolved=True,
    )
    chroma: Literal["source", "420"] = option(
        "source",
        "Chroma sampling of the film: the source's, as near as the codec has it, or 4:2:0, which "
        "every player shows.",
        group="The output",
        affects="bytes",
    )
    fps: Fraction | None = option(
        None,
        "Frame rate of an image sequence, or of a raw stream that does not state one: 25, 23.976, "
        "24000/1001.",
        group="The output",
        above=0,
        metavar="RATE",
        means="25 for an image sequence",
        affects="bytes",
        resolved=True,
    )
    deinterlace: Deinterlace = option(
        "auto",
        "For interlaced film: restore each field and keep the film interlaced (auto and keep), "
        "write one whole frame per frame (frame), or one per field at twice the rate (field).",
        group="The output",
        affects="bytes",
    )
    pulldown: bool = option(
        False,
        "Undo the 3:2 pulldown of telecined film: four frames for every five.",
        group="The output",
        affects="bytes",
    )
    drop_unsupported: bool = option(
        False,
        "Drop streams and chapters that the output cannot hold, instead of refusing the film.",
        group="The output",
        affects="bytes",
    )
    overwrite: bool = option(
        False,
        "Replace existing outputs, and discard an interrupted run.",
        group="The output",
        per_run=True,
    )
    compare: Path | None = option(
        None,
        "Also write a film with before and after side by side.",
        group="Reports",
        metavar="FILE",
        affects="presence",
        per_run=True,
    )
    record: Path | None = option(
        None,
        "Also write every change in every frame, as JSON lines, for `vidrestore verify`.",
        group="Reports",
        metavar="FILE",
        see="preservation.md#proof",
        affects="presence",
        per_run=True,
    )
    framemd5: Path | None = option(
        None,
        "Also write checksums of the written frames, as FFmpeg's framemd5.",
        group="Reports",
        metavar="FILE",
        see="preservation.md#checksums",
        per_run=True,
    )
    verify: bool = option(
        False,
        "Prove at the end that nothing else changed, as `vidrestore verify` does. The record is "
        "written, too: beside the output, unless --record names it.",
        group="Reports",
        see="preservation.md#proof",
    )
    device: str = option(
        "auto",
        "Where the networks run; auto is the first GPU, or else the CPU.",
        group="The machine",
        metavar="auto|cpu|cuda|cuda:N",
        affects="bytes",
        resolved=True,
    )
    precision: PrecisionName = option(
        "auto",
        "Number format of the networks; auto is bf16 where it is fast, or else fp32.",
        group="The machine",
        affects="bytes",
        resolved=True,
    )
    batch_size: int | None = option(
        None,
        "Faces per call of the network.",
        group="The machine",
        low=1,
        means="chosen for the device",
        affects="bytes",
        resolved=True,
    )

    def __post_init__(self) -> None:
        check_options(self)
        check_encoding(self.codec, self.crf, self.preset)
        if isinstance(self.background, str):
            check_upscaler_name(self.background)
        if self.scale is not None and self.background is None:
            raise ConfigError("scale needs background; set background, or leave out scale")
        if self.pulldown and self.deinterlace == "field":
            raise ConfigError("pulldown excludes deinterlace field; leave out one of them")
        if any(number < 1 for number in self.only_tracks):
            raise ConfigError(f"only_tracks must be numbers from 1 on, got {self.only_tracks}")
        check_track_strengths(self.track_strengths)
        start = self.start_seconds or Fraction(0)
        if start < 0 or (self.end_seconds is not None and self.end_seconds <= start):
            raise ConfigError(f"the end ({self.end_seconds} s) must come after the start ({start})")

    def strength_of(self, track: int) -> float:
        """Return the strength of a track, of ``--track-strength`` or else of ``--strength``."""
        return strength_of_track(track, self.strength, self.track_strengths)

    def with_record(self, output: Path) -> "RestoreSettings":
        """Return the settings with a record beside the output where a proof needs one."""
        if not self.verify or self.record is not None:
            return self
        return replace(self, record=output.parent / f"{output.stem}.jsonl")
