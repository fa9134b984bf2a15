"""The lines of a record: what was synthesized in a video, where, and at what strength.

A record is a text file of JSON lines: one header, one line for each frame, one end. Boxes and
points are in *display* pixels of the source, masks in *coded* pixels of the result (see
``vidrestore.types``). ``schema.md``, next to this file, describes the format for other programs.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from vidrestore.types import CROP_SIZES_PX, Box, ToneCurve

SCHEMA = "vidrestore-record/4"
"""Name and version."""
READABLE_SCHEMAS = (*(f"vidrestore-record/{version}" for version in (1, 2, 3)), SCHEMA)
"""Other versions are refused. Version 1 has no ``repair``, 2 no ``small_checkpoint_sha256``, 3 no
``tiny_checkpoint_sha256`` and ``crop_px``."""

COMPOSITE_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
"""IPTC's term for an image of which a trained network drew a part."""

JsonScalar: TypeAlias = str | int | float | bool | None
PointsXy: TypeAlias = tuple[tuple[float, float], ...]
"""Five points: left eye, right eye, nose, left and right mouth corner, as seen."""

_MAX_TICKS = 2**63 - 1
_MAX_SIDE_PX = 1 << 20
_MAX_TEXT = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _check_count(name: str, value: int) -> None:
    if not 0 <= value <= _MAX_TICKS:
        raise ValueError(f"{name}: expected 0 to {_MAX_TICKS}, got {value}")


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ValueError(f"{name}: expected {low:g} to {high:g}, got {value}")


def _check_text(name: str, value: str | None) -> None:
    if value is not None and not 0 < len(value) <= _MAX_TEXT:
        raise ValueError(f"{name}: expected 1 to {_MAX_TEXT} characters, got {len(value)}")


def _check_sha256(name: str, value: str | None) -> None:
    if value is not None and not _SHA256.fullmatch(value):
        raise ValueError(f"{name}: expected 64 hexadecimal digits in lower case, got {value!r}")


def _check_box(name: str, box_xyxy: Box) -> None:
    left, top, right, bottom = box_xyxy
    if not (0 <= left < right <= _MAX_SIDE_PX and 0 <= top < bottom <= _MAX_SIDE_PX):
        raise ValueError(f"{name}: is empty or out of range: {box_xyxy}")


def _check_size(name: str, size_hw: tuple[int, int]) -> None:
    if not all(1 <= side <= _MAX_SIDE_PX for side in size_hw):
        raise ValueError(f"{name}: expected sides of 1 to {_MAX_SIDE_PX} px, got {size_hw}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """The video, image or folder that was restored."""

    name: str
    """File name without folder."""
    size_bytes: int | None = None
    """None for a folder."""
    sha256: str | None = None
    """None where it was not computed."""

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        if self.size_bytes is not None:
            _check_count("size_bytes", self.size_bytes)
        _check_sha256("sha256", self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """The result, and whether it stores every sample outside the masks."""

    name: str
    codec: str
    """As FFmpeg names it (``h264``, ``hevc``, ``ffv1``), or the suffix of images (``png``)."""
    pixel_format: str
    """As FFmpeg names it."""
    lossless: bool
    """Whether samples outside the masks are the source's, bit for bit: the codec is lossless, and
    the pixel format is the source's."""

    def __post_init__(self) -> None:
        for field in ("name", "codec", "pixel_format"):
            _check_text(field, getattr(self, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeader:
    """The first line: what was restored, by what, into what."""

    program: str
    """Name and version."""
    source: SourceFile
    output: OutputFile
    coded_hw: tuple[int, int]
    """Height and width of the coded source."""
    display_hw: tuple[int, int]
    """Height and width a viewer of the source sees, the space of boxes and points."""
    time_base: Fraction
    """Seconds per tick of ``FrameRecord.pts``."""
    model: str
    checkpoint_sha256: str | None
    """Of the weights file; of several files, of the generator's. None without a file."""
    small_checkpoint_sha256: str | None = None
    """Of the file for small faces; None if the model has none, or none is used."""
    tiny_checkpoint_sha256: str | None = None
    """Of the file for faces of few pixels, likewise: a restorer around a generative prior."""
    detail: float | None = None
    """Position of the weights from fidelity (0) to detail (1); None where they have one end."""
    scale: int = 1
    """Enlargement along each side."""
    settings: Mapping[str, JsonScalar]
    """The settings of the run, by name: numbers, text, true, false or null."""
    digital_source_type: str = COMPOSITE_SOURCE_TYPE

    def __post_init__(self) -> None:
        for field in ("program", "model", "digital_source_type"):
            _check_text(field, getattr(self, field))
        _check_size("coded_hw", self.coded_hw)
        _check_size("display_hw", self.display_hw)
        if self.time_base <= 0:
            raise ValueError(f"time_base: expected more than 0, got {self.time_base}")
        _check_sha256("checkpoint_sha256", self.checkpoint_sha256)
        for field in ("small_checkpoint_sha256", "tiny_checkpoint_sha256"):
            _check_sha256(field, getattr(self, field))
            if getattr(self, field) is not None and self.checkpoint_sha256 is None:
                raise ValueError(f"{field}: needs checkpoint_sha256")
        _check_range("detail", self.detail, 0, 1)
        if not 1 <= self.scale <= 64:
            raise ValueError(f"scale: expected 1 to 64, got {self.scale}")

    @property
    def output_hw(self) -> tuple[int, int]:
        """Height and width of the coded result, the space of masks."""
        return self.coded_hw[0] * self.scale, self.coded_hw[1] * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRecord:
    """One face of one track in one frame."""

    track: int
    """Stable within a shot, unique in the film."""
    box_xyxy: tuple[float, float, float, float]
    score: float
    """The detector's confidence, 0 to 1."""
    interpolated: bool = False
    """Whether the face was interpolated in this frame, not detected."""
    points_measured_xy: PointsXy
    """Landmarks as they were detected."""
    points_xy: PointsXy
    """Landmarks after smoothing over time: where the restored face was pasted."""
    mask_xyxy: tuple[int, int, int, int] | None
    """Bounds of the changed samples, right and bottom exclusive; None where none changed."""
    strength: float
    """Weight of the restored face, 0 to 1, including ``--strength`` or ``--track-strength``."""
    reason: str | None = None
    """Why the strength was lowered; None where it was not."""
    identity_similarity: float | None = None
    """Cosine of the embeddings before and after, -1 to 1; None where it was not measured."""
    luma_before: float | None = None
    """Mean luma of the face in its crop, 0 to 255; None where it was not measured."""
    luma_after: float | None = None
    crop_px: int | None = None
    """Side of the crop that was restored, which decides the weights; None where none was."""

    def __post_init__(self) -> None:
        _check_count("track", self.track)
        if self.crop_px is not None and self.crop_px not in CROP_SIZES_PX:
            raise ValueError(f"crop_px: expected 128, 256 or 512, got {self.crop_px}")
        left, top, right, bottom = self.box_xyxy
        if not (right > left and bottom > top and all(map(math.isfinite, self.box_xyxy))):
            raise ValueError(f"box_xyxy: is empty or not finite: {self.box_xyxy}")
        for field in ("points_measured_xy", "points_xy"):
            points: PointsXy = getattr(self, field)
            if len(points) != 5 or not all(math.isfinite(value) for xy in points for value in xy):
                raise ValueError(f"{field}: expected five finite points, got {points}")
        if self.mask_xyxy is not None:
            _check_box("mask_xyxy", self.mask_xyxy)
        _check_range("score", self.score, 0, 1)
        _check_range("strength", self.strength, 0, 1)
        _check_text("reason", self.reason)
        _check_range("identity_similarity", self.identity_similarity, -1, 1)
        _check_range("luma_before", self.luma_before, 0, 255)
        _check_range("luma_after", self.luma_after, 0, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRecord:
    """What was repaired in one frame, before its faces were restored."""

    curve: ToneCurve | None
    """Applied to luma, or to red, green and blue, of the whole frame; None where it was not."""
    dust_xyxy: tuple[Box, ...]
    """Boxes outside of which no dust was removed, in coded pixels."""
    scratches_xyxy: tuple[Box, ...]
    """Boxes outside of which no scratch was removed, in coded pixels."""
    specks: int
    """Number of specks that were removed."""

    def __post_init__(self) -> None:
        _check_count("specks", self.specks)
        for field in ("dust_xyxy", "scratches_xyxy"):
            for box in getattr(self, field):
                _check_box(field, box)

    @property
    def boxes_xyxy(self) -> tuple[Box, ...]:
        """All boxes."""
        return self.dust_xyxy + self.scratches_xyxy


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecord:
    """One frame of the result."""

    index: int
    """Position in presentation order."""
    pts: int
    """Time of the source's frame, in ticks of the header's ``time_base``."""
    shot: int
    faces: tuple[FaceRecord, ...] = ()
    """In order of track number."""
    repair: RepairRecord | None = None
    """None where nothing was repaired."""

    def __post_init__(self) -> None:
        _check_count("index", self.index)
        _check_count("shot", self.shot)
        if not -_MAX_TICKS <= self.pts <= _MAX_TICKS:
            raise ValueError(f"pts: expected 64 bits, got {self.pts}")
        tracks = [face.track for face in self.faces]
        if tracks != sorted(set(tracks)):
            raise ValueError(f"faces: tracks must rise and differ, got {tracks[:16]}")

    def check_size(self, output_hw: tuple[int, int]) -> None:
        """Check that every mask and box is inside a frame of ``output_hw``.

        Raises:
            ValueError: One is not; the message names it.
        """
        height, width = output_hw
        for box in () if self.repair is None else self.repair.boxes_xyxy:
            if box[2] > width or box[3] > height:
                raise ValueError(f"repair: {[*box]} is outside the frame, {width} x {height} px")
        for index, face in enumerate(self.faces):
            if face.mask_xyxy is None:
                continue
            _, _, right, bottom = face.mask_xyxy
            if right > width or bottom > height:
                raise ValueError(
                    f"faces[{index}].mask_xyxy: {list(face.mask_xyxy)} is outside the frame, "
                    f"{width} x {height} px"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """The last line: totals, which reveal a truncated record."""

    frames: int
    faces: int

    def __post_init__(self) -> None:
        _check_count("frames", self.frames)
        _check_count("faces", self.faces)
