"""Settings of what is restored in the frames of a film, and how strongly."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

from vidrestore.settings.option import option
from vidrestore.settings.track_strength import TrackStrength, strength_of_track

DetectorName: TypeAlias = Literal["mtcnn", "retinaface", "retinaface-mobile"]
MaskShape: TypeAlias = Literal["face", "head"]
"""Region that is restored: an ellipse through the landmarks, or also hair, ears and neck."""
RepairName: TypeAlias = Literal["dust", "scratches", "flicker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSettings:
    """What is restored, and how strongly; ``RestoreSettings`` checks the values."""

    model: str = option(
        "lite",
        "Restorer: a name (`vidrestore weights list` shows them), or a checkpoint file.",
        group="How strongly",
        metavar="NAME|FILE",
        common=True,
        see="models.md",
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
    )
    fidelity: float | None = option(
        None,
        "For --model codeformer: 0 invents most detail, 1 stays closest to the film.",
        group="How strongly",
        low=0,
        high=1,
        means="the model's own",
    )
    strength: float = option(
        1.0,
        "How much of the restored face to use: 0 none, 1 all.",
        group="How strongly",
        low=0,
        high=1,
    )
    track_strengths: tuple[TrackStrength, ...] = option(
        (),
        "Use this strength for one track, by its number in the record or the review, instead of "
        "--strength. May be repeated.",
        group="How strongly",
        flag="track-strength",
        metavar="N=STRENGTH",
        see="usage.md#review",
        resolved=True,
        per_run=True,
    )
    grain: float = option(
        1.0,
        "How much of the film's own grain to put back on a restored face.",
        group="How strongly",
        low=0,
        high=1,
    )
    steady: float = option(
        1.0,
        "How much to average a face with its neighboring frames before it is restored, and its "
        "new detail after; 0 restores each frame separately.",
        group="How strongly",
        low=0,
        high=1,
    )
    safeguard: float = option(
        1.0,
        "How strictly to protect faces that are hidden, turned or uncertain, or whose identity, "
        "eyes or mouth would change; 0 restores all in full.",
        group="How strongly",
        low=0,
        high=1,
        see="how-it-works.md#the-safeguard",
    )
    keep_good: float = option(
        1.0,
        "How strictly to leave faces unchanged that are already good.",
        group="How strongly",
        low=0,
        high=1,
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
        resolved=True,
    )
    scale: Literal[1, 2, 4] | None = option(
        None,
        "For --background: the factor by which each side of the film is enlarged.",
        group="What to restore",
        means="1, or the factor of the network in a checkpoint file",
        resolved=True,
    )
    repair: tuple[RepairName, ...] = option(
        (),
        "Also repair the whole frame of old film: dust, scratches and flicker of brightness, or "
        "some of them.",
        group="What to restore",
        metavar="dust,scratches,flicker",
        see="how-it-works.md#repair",
        resolved=True,
    )
    faces: Literal["all", "largest"] = option(
        "all",
        "Restore all faces, or only the largest of each frame.",
        group="What to restore",
    )
    min_face_px: float = option(
        24.0,
        "Skip faces whose box is smaller than this on its longer side, in pixels of the film.",
        group="What to restore",
        low=0,
        flag="min-face",
        metavar="PX",
    )
    only_tracks: tuple[int, ...] = option(
        (),
        "Restore only this track, by its number in the record or the review. May be repeated.",
        group="What to restore",
        flag="only-track",
        metavar="N",
        see="usage.md#review",
        resolved=True,
        per_run=True,
    )
    mask: MaskShape = option(
        "head",
        "Restore only the face, or also hair, ears and neck near it.",
        group="What to restore",
    )
    detector: DetectorName = option(
        "mtcnn",
        "Face detector. mtcnn comes with the program; the others are downloaded on first use.",
        group="What to restore",
        see="models.md#detectors",
    )
    start_seconds: Fraction | None = option(
        None,
        "Start at this time: seconds, or HH:MM:SS.mmm.",
        group="What to restore",
        flag="start",
        metavar="TIME",
        means="the beginning",
    )
    end_seconds: Fraction | None = option(
        None,
        "Stop before this time: seconds, or HH:MM:SS.mmm.",
        group="What to restore",
        flag="end",
        metavar="TIME",
        means="the end",
    )
    program: int | None = option(
        None,
        "For a transport stream with several programs: the number of the one to restore.",
        group="What to restore",
        low=1,
        means="the first with video",
    )

    def strength_of(self, track: int) -> float:
        """Return the strength of a track, of ``--track-strength`` or else of ``--strength``."""
        return strength_of_track(track, self.strength, self.track_strengths)
