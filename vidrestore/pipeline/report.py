"""The report of a restoration."""

import platform
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from vidrestore.pipeline.frame_cadence import FrameCadence
from vidrestore.types import FinishedFrame, Repair

_PACKAGES = ("vidrestore", "torch", "av", "numpy", "opencv-python", "scenedetect")
_EXTRA_PACKAGES = ("spandrel", "spandrel_extra_arches")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """One shot of the film."""

    shot: int
    first_frame: int
    last_frame: int
    start_seconds: float
    one_tone: bool
    """Black-and-white or tinted, so that its chroma was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """One person followed through one shot."""

    track: int
    shot: int
    first_frame: int
    last_frame: int
    faces: int
    """Frames in which the face was restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """Counts, timing, model and notes of one restoration."""

    frames: int
    faces: int
    """Restored faces, counted once per frame."""
    shot_records: tuple[ShotRecord, ...]
    track_records: tuple[TrackRecord, ...]
    timing: dict[str, float]
    """Seconds by stage; ``decode`` and ``encode`` run beside the others, on their own threads."""
    device: str
    precision: str
    model: str
    checkpoint_sha256: str | None = None
    """Checksum of the weights file; of several files, of the generator's."""
    small_checkpoint_sha256: str | None = None
    """Checksum of the weights file for small faces; None if none is used."""
    tiny_checkpoint_sha256: str | None = None
    """The same for faces of few pixels."""
    detail: float | None = None
    """Interpolation between the model's two sets of weights, 0 (fidelity) to 1 (detail); None if it
    has one."""
    background: str | None = None
    """The network for the whole picture; None if only faces were restored."""
    scale: int = 1
    """Enlargement of the output over the source, along each side."""
    damaged_packets: int
    segments: int = 1
    """Number of segments that the film was restored in."""
    repairs: dict[str, int] = field(default_factory=dict[str, int])
    """Totals of ``repair``: specks removed, frames with removed scratches, frames with changed
    brightness."""
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    """Faces that were skipped or restored less, by reason, counted once per frame."""
    notes: tuple[str, ...]
    """Notes for the user: formats that had to change, streams left out, ..."""

    @property
    def shots(self) -> int:
        """Number of shots."""
        return len(self.shot_records)

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return len(self.track_records)

    def to_json(self) -> dict[str, Any]:
        """Return the values for JSON: counts first, then the shots and tracks that they count."""
        return {
            "frames": self.frames,
            "shots": self.shots,
            "tracks": self.tracks,
            "faces": self.faces,
            "timing": {name: round(seconds, 4) for name, seconds in self.timing.items()},
            "versions": versions(),
            "device": self.device,
            "precision": self.precision,
            "model": self.model,
            "checkpoint_sha256": self.checkpoint_sha256,
            "small_checkpoint_sha256": self.small_checkpoint_sha256,
            "tiny_checkpoint_sha256": self.tiny_checkpoint_sha256,
            "detail": self.detail,
            "background": self.background,
            "scale": self.scale,
            "damaged_packets": self.damaged_packets,
            "segments": self.segments,
            "repairs": dict(sorted(self.repairs.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "notes": list(self.notes),
            "shot_records": [asdict(record) for record in self.shot_records],
            "track_records": [asdict(record) for record in self.track_records],
        }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on."""
    versions_by_name = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions_by_name[name] = version(name)
        except PackageNotFoundError:
            versions_by_name[name] = "not installed as a package"
    for name in _EXTRA_PACKAGES:
        with suppress(PackageNotFoundError):
            versions_by_name[name] = version(name)
    return versions_by_name


@dataclass(slots=True)
class _Span:
    shot: int
    first: int
    last: int
    count: int = 1
    start_seconds: Fraction = Fraction(0)
    one_tone: bool = False

    def merged(self, later: "_Span") -> "_Span":
        return replace(self, last=later.last, count=self.count + later.count)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "start_seconds": str(self.start_seconds)}

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "_Span":
        values: dict[str, Any] = {**fields, "start_seconds": Fraction(fields["start_seconds"])}
        return _Span(**values)


class Tally:
    """Counts frames and faces; memory grows with shots and tracks, not with frames."""

    def __init__(self) -> None:
        self.frames = 0
        self.faces = 0
        self.interlaced = 0
        """Frames that are flagged as interlaced."""
        self.repairs: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.tracks_found = 0
        """Tracks are numbered from 0: the highest number of any face, restored or not, plus 1."""
        self._shots: dict[int, _Span] = {}
        self._tracks: dict[int, _Span] = {}
        self.cadence = FrameCadence()

    def add(self, finished: FinishedFrame) -> None:
        """Count one finished frame."""
        index = finished.source.index
        self.frames += 1
        self.interlaced += finished.source.interlaced
        self.cadence.add(finished.source.timestamp)
        faces = [face for face in finished.faces if face.assessment.strength > 0]
        self.faces += len(faces)
        numbers = [face.face.track_id for face in finished.faces]
        self.tracks_found = max([self.tracks_found, *(number + 1 for number in numbers)])
        self.reasons.update(
            face.assessment.reason for face in finished.faces if face.assessment.reason
        )
        if finished.repair is not None:
            self._add_repair(finished.repair)
        shot = self._shots.get(finished.shot)
        if shot is None:
            self._shots[finished.shot] = _Span(
                finished.shot,
                index,
                index,
                start_seconds=finished.source.timestamp.seconds,
                one_tone=finished.is_monochrome,
            )
        else:
            shot.last = index
        for face in faces:
            number = face.face.track_id
            span = self._tracks.get(number)
            if span is None:
                self._tracks[number] = _Span(finished.shot, index, index)
            else:
                span.last, span.count = index, span.count + 1

    def _add_repair(self, repair: Repair) -> None:
        self.repairs.update(
            {
                "specks": repair.specks,
                "frames with scratches": int(bool(repair.scratches_xyxy)),
                "frames with flicker": int(repair.curve is not None),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "interlaced": self.interlaced,
            "repairs": dict(self.repairs),
            "reasons": dict(self.reasons),
            "tracks_found": self.tracks_found,
            "rhythm": self.cadence.to_json(),
            "shots": {number: span.to_json() for number, span in self._shots.items()},
            "tracks": {number: span.to_json() for number, span in self._tracks.items()},
        }

    def merge(self, counted: Mapping[str, Any]) -> None:
        """Add the counts that ``to_json`` returned for the frames that follow.

        Raises:
            ValueError: It is something else.
        """
        try:
            self.frames += counted["frames"]
            self.faces += counted["faces"]
            self.interlaced += counted.get("interlaced", 0)  # not in older journals
            self.repairs.update(counted["repairs"])
            self.reasons.update(counted["reasons"])
            self.tracks_found = max(self.tracks_found, counted["tracks_found"])
            self.cadence.merge(counted["rhythm"])
            for mine, theirs in ((self._shots, "shots"), (self._tracks, "tracks")):
                for number, fields in counted[theirs].items():
                    span = _Span.from_json(fields)
                    before = mine.get(int(number))
                    mine[int(number)] = span if before is None else before.merged(span)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a count of frames: {error}") from error

    def shot_records(self) -> tuple[ShotRecord, ...]:
        """Return the shots so far, in order."""
        return tuple(
            ShotRecord(
                shot=number,
                first_frame=span.first,
                last_frame=span.last,
                start_seconds=float(span.start_seconds),
                one_tone=span.one_tone,
            )
            for number, span in sorted(self._shots.items())
        )

    def track_records(self) -> tuple[TrackRecord, ...]:
        """Return the tracks so far, in order."""
        return tuple(
            TrackRecord(
                track=number,
                shot=span.shot,
                first_frame=span.first,
                last_frame=span.last,
                faces=span.count,
            )
            for number, span in sorted(self._tracks.items())
        )
